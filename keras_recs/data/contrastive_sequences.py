"""The arrays of `contrastive_batches`."""

import numpy as np

from keras_recs.data.augmentation.crop_events import crop_events
from keras_recs.data.augmentation.mask_events import mask_events
from keras_recs.data.augmentation.reorder_events import reorder_events
from keras_recs.data.next_item_sequences import NextItemSequences

ALTERATIONS = (
    lambda rows, rng: crop_events(rows, 0.6, rng),
    lambda rows, rng: mask_events(rows, 0.3, rng),
    lambda rows, rng: reorder_events(rows, 0.6, rng),
)


class ContrastiveSequences(NextItemSequences):
    """Next items, views and pairs; see `contrastive_batches`.

    Args:
        alterations: list of functions or `None`.
        partners: int `(V, K)` or `None`.
        **kwargs: of `NextItemSequences`.

    Raises:
        TypeError: for columns.
        ValueError: for an empty list of alterations.
    """

    def __init__(self, alterations, partners, **kwargs):
        if kwargs.get("columns"):
            raise TypeError(
                "`columns` are not read: a ContrastiveItemModel has one input, the "
                f"items. Received: columns of {sorted(kwargs['columns'])}"
            )
        super().__init__(**kwargs)
        alterations = ALTERATIONS if alterations is None else alterations
        if not len(alterations):
            raise ValueError(
                "`alterations` must be one function at least, or None. Received: "
                f"alterations={alterations}"
            )
        self._alterations = alterations
        self._partners = None if partners is None else np.asarray(partners)

    def make_batch(self, examples, rng):
        """Inputs and targets of users."""
        inputs, y = super().make_batch(examples, rng)
        places, is_there = self.last_places(examples)  # (B, T)
        rows = np.where(is_there, self.items[places], 0)
        views = [self._altered(rows, rng) for _ in range(2)]
        y["views"] = np.stack(views, 1).astype("int32")  # (B, 2, T)
        if self._partners is not None:
            back = rng.integers(1, is_there.sum(1) + 1)
            own = rows[np.arange(len(rows)), self.max_length - back]  # (B,)
            counts = np.maximum((self._partners[own] > 0).sum(1), 1)
            others = self._partners[own, rng.integers(counts)]
            pairs = np.stack([own, others], 1) * (others > 0)[:, None]
            y["item_pairs"] = pairs.astype("int32")  # (B, 2)
        return inputs, y

    def _altered(self, rows, rng):
        """Each sequence by one of the alterations."""
        drawn = rng.integers(len(self._alterations), size=len(rows))
        altered = rows.copy()
        for number, alter in enumerate(self._alterations):
            own = np.flatnonzero(drawn == number)
            altered[own] = alter(rows[own], rng)
        return altered
