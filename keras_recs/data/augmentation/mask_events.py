"""A sequence some of whose events are not told."""

import numpy as np

from keras_recs.data.augmentation.checked_rows import checked_rows
from keras_recs.data.augmentation.chosen_places import chosen_places


def mask_events(rows, share, rng, mask_row=1):
    """Masks ⌊share · n⌋ events of each sequence of n.

    Args:
        rows: int `(B, T)`, padded on the left with 0.
        share: float from 0 to 1.
        rng: `numpy.random.Generator`.
        mask_row: int. Row of the mask. Defaults to `1`.

    Returns:
        `(B, T)`.

    Raises:
        ValueError: for rows of another shape and a share out of range.

    Example:
    >>> rows = np.array([[0, 4, 5, 6, 7]])
    >>> masked = keras_recs.data.mask_events(rows, 0.5, np.random.default_rng(0))
    >>> int((masked == 1).sum()), int((masked == rows).sum())
    (2, 3)

    Reference: [Xie et al., 2020](https://arxiv.org/abs/2010.14395)
    """
    rows, is_there, _ = checked_rows(rows, share)
    is_masked = chosen_places(is_there, share, rng)
    return np.where(is_masked, np.array(mask_row, rows.dtype), rows)
