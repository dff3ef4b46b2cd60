"""Negatives that may be none."""

import numpy as np

from keras_recs.data.negatives.item_sets import ItemSets


class NegativeWeights:
    """Weights of drawn items that somebody may like: they count for less, or not.

    For `next_item_batches(negative_weights=…)`. Near duplicates of what was chosen are
    hardly worse than it; what a user has seen and not chosen may be liked another time,
    or, with a weight above 1, teaches more than what the user does not know. An item
    that is both has the product of the weights.

    Args:
        duplicates: `ItemSets` whose row i has the items that nearly are item i, such
            as other sizes of it. Defaults to `None`.
        duplicate_weight: float of at least 0. Defaults to `0.0`.
        skipped: `ItemSets` whose row u has what user u, of the `sequences` that batches
            are made of, has seen and not chosen. Defaults to `None`.
        skipped_weight: float of at least 0. Defaults to `0.5`.

    Call arguments:
        users: int `(B,)`.
        targets: int `(B, T)`, items from 0; −1 is none.
        negatives: int `(B, T, n)`, or `(n,)` of all places.

    Returns:
        float32 `(B, T, n)`.

    Raises:
        ValueError: for weights below 0.

    Example:
    >>> sets = keras_recs.data.ItemSets([1, 0], [0, 1, 2, 2], num_items=3)
    >>> weigh = keras_recs.data.NegativeWeights(sets, 0.25)
    >>> weigh(np.array([0]), np.array([[0, 2]]), np.array([1, 2])).tolist()
    [[[0.25, 1.0], [1.0, 1.0]]]
    """

    def __init__(
        self,
        duplicates: ItemSets | None = None,
        duplicate_weight: float = 0.0,
        skipped: ItemSets | None = None,
        skipped_weight: float = 0.5,
    ):
        if not (duplicate_weight >= 0 and skipped_weight >= 0):
            raise ValueError(
                "`duplicate_weight` and `skipped_weight` must be at least 0. Received: "
                f"duplicate_weight={duplicate_weight}, skipped_weight={skipped_weight}"
            )
        self.duplicates = duplicates
        self.duplicate_weight = duplicate_weight
        self.skipped = skipped
        self.skipped_weight = skipped_weight

    def __call__(self, users, targets, negatives) -> np.ndarray:
        """Returns the weights."""
        weights = np.ones((*targets.shape, negatives.shape[-1]), "float32")
        if self.duplicates is not None:
            is_near = self.duplicates.contains(targets[..., None], negatives)
            weights *= np.where(is_near, np.float32(self.duplicate_weight), 1)
        if self.skipped is not None:
            is_seen = self.skipped.contains(users[:, None, None], negatives)
            weights *= np.where(is_seen, np.float32(self.skipped_weight), 1)
        return weights
