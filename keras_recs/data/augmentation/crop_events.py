"""A part of a sequence in its place."""

import numpy as np

from keras_recs.data.augmentation.checked_rows import checked_rows


def crop_events(rows, share, rng):
    """Keeps max(1, ⌊share · n⌋) consecutive events of each sequence of n.

    Args:
        rows: int `(B, T)`, padded on the left with 0.
        share: float from 0 to 1.
        rng: `numpy.random.Generator`.

    Returns:
        `(B, T)`: the part, padded on the left.

    Raises:
        ValueError: for rows of another shape and a share out of range.

    Example:
    >>> rows = np.array([[0, 4, 5, 6, 7]])
    >>> keras_recs.data.crop_events(rows, 0.5, np.random.default_rng(0)).tolist()
    [[0, 0, 0, 4, 5]]

    Reference: [Xie et al., 2020](https://arxiv.org/abs/2010.14395)
    """
    rows, _, counts = checked_rows(rows, share)
    kept = np.floor(share * counts + 1e-9).astype("int64")
    kept = np.minimum(np.maximum(kept, 1), counts)  # (B, 1)
    after = rng.integers(counts - kept + 1)  # events behind the part
    columns = np.arange(rows.shape[1])
    is_kept = columns >= rows.shape[1] - kept
    return np.take_along_axis(rows, (columns - after) * is_kept, 1) * is_kept
