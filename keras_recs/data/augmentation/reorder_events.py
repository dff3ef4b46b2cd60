"""A sequence a part of which is in another order."""

import numpy as np

from keras_recs.data.augmentation.checked_rows import checked_rows


def reorder_events(rows, share, rng):
    """Shuffles ⌊share · n⌋ consecutive events of each sequence of n.

    Args:
        rows: int `(B, T)`, padded on the left with 0.
        share: float from 0 to 1.
        rng: `numpy.random.Generator`.

    Returns:
        `(B, T)`.

    Raises:
        ValueError: for rows of another shape and a share out of range.

    Example:
    >>> rows = np.array([[0, 4, 5, 6, 7]])
    >>> found = keras_recs.data.reorder_events(rows, 0.5, np.random.default_rng(1))
    >>> sorted(found[0].tolist())
    [0, 4, 5, 6, 7]

    Reference: [Xie et al., 2020](https://arxiv.org/abs/2010.14395)
    """
    rows, _, counts = checked_rows(rows, share)
    width = np.floor(share * counts + 1e-9).astype("int64")  # (B, 1)
    first = rows.shape[1] - counts + rng.integers(counts - width + 1)
    columns = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
    is_inside = (columns >= first) & (columns < first + width)
    # Within the window by draws, everything else by its place.
    keys = np.where(is_inside, first + width * rng.random(rows.shape), columns)
    return np.take_along_axis(rows, keys.argsort(1, kind="stable"), 1)
