"""AUC within groups."""

import numpy as np

from keras_recs.metrics.checked_arrays import checked_arrays
from keras_recs.metrics.grouped_pairs import grouped_pairs


def gauc(y_true, y_score, groups):
    """Group AUC: the exact AUC of each group, averaged with its number of examples.

    Groups of one class have no AUC and are left out.

    Args:
        y_true: `(N,)` of 0 and 1.
        y_score: `(N,)`.
        groups: `(N,)` keys of any comparable type, usually users.

    Returns:
        float in 0 … 1; NaN where no group has both classes or a score is NaN.

    Raises:
        ValueError: for lengths that differ or labels other than 0 and 1.

    Reference: [Zhou et al., 2018](https://arxiv.org/abs/1706.06978), eq. 8.

    Example:
    >>> scores, users = [0.9, 0.1, 0.2, 0.3], ["a", "a", "b", "b"]
    >>> keras_recs.metrics.gauc([1, 0, 1, 0], scores, users)
    0.5
    """
    y_true, y_score, _ = checked_arrays(y_true, y_score)
    right, positives, negatives = grouped_pairs(y_true, 1 - y_true, y_score, groups)
    pairs = positives * negatives
    both = pairs > 0
    if not both.any() or np.isnan(y_score).any():
        return float("nan")
    size = positives + negatives
    return float(np.average(right[both] / pairs[both], weights=size[both]))
