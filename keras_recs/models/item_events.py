"""What a model of sequences reads."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ItemEvents:
    """Events of a model of sequences: their items, and what else is known of them.

    Args:
        items: string. Name of the sequence feature of the items. Defaults to `None`:
            the only one beside `features`.
        features: names of sequence features that tell more of the same events, such as
            the bucket of the time since the one before, or a category. Place by place
            they stand beside the items, as long and padded on the left, 0 where nothing
            is known. Their vectors are added to the item's. A masked event has none:
            they would tell what the item was. Defaults to none.
        attributes: int array `(rows of the items' table, n)`: attributes of each item,
            such as its brand, from 1, and 0 where it has less. Their vectors are added
            to the item's, in events and among candidates. Defaults to `None`.

    Raises:
        ValueError: for attributes that are no such array.

    Example:
    >>> events = keras_recs.models.ItemEvents("items", features=("gap",))
    >>> events.features
    ('gap',)
    """

    items: str | None = None
    features: tuple[str, ...] = ()
    attributes: np.ndarray | None = None

    def __post_init__(self):
        object.__setattr__(self, "features", tuple(self.features))
        if self.attributes is None:
            return
        attributes = np.asarray(self.attributes)
        is_table = attributes.ndim == 2 and attributes.dtype.kind in "iu"
        if not is_table or attributes.min() < 0 or not attributes.any():
            raise ValueError(
                "`attributes` must be integers (rows, n) from 0 on, some above it. "
                f"Received: array of {attributes.dtype} of shape {attributes.shape}"
            )
        object.__setattr__(self, "attributes", attributes)

    @classmethod
    def of(cls, items):
        """Itself, or the events of a feature's name."""
        return items if isinstance(items, cls) else cls(items)
