"""A sequence some of whose items are exchanged for similar ones."""

import numpy as np

from keras_recs.data.augmentation.checked_rows import checked_rows
from keras_recs.data.augmentation.chosen_places import chosen_places


def substitute_events(rows, share, rng, similar):
    """Exchanges ⌊share · n⌋ items of each sequence of n for similar ones.

    Args:
        rows: int `(B, T)`, padded on the left with 0.
        share: float from 0 to 1.
        rng: `numpy.random.Generator`.
        similar: int `(V, K)`: rows of similar items by row, such as `similar_items`
            gives; 0 where there are less. An item without any stays.

    Returns:
        `(B, T)`.

    Raises:
        ValueError: for rows of another shape and a share out of range.

    Example:
    >>> similar = np.array([[0], [0], [3], [2]])
    >>> rng = np.random.default_rng(0)
    >>> keras_recs.data.substitute_events([[0, 2, 3]], 1.0, rng, similar).tolist()
    [[0, 3, 2]]

    Reference: [Liu et al., 2021](https://arxiv.org/abs/2108.06479)
    """
    rows, is_there, _ = checked_rows(rows, share)
    similar = np.asarray(similar)
    is_chosen = chosen_places(is_there, share, rng)
    counts = np.maximum((similar > 0).sum(1), 1)[rows]  # (B, T)
    drawn = similar[rows, rng.integers(counts)]
    return np.where(is_chosen & (drawn > 0), drawn, rows).astype(rows.dtype)
