"""Area under the ROC curve."""

import numpy as np

from keras_recs.metrics.checked_arrays import checked_arrays


def auc(y_true, y_score, sample_weight=None):
    """Exact AUC: the share of (positive, negative) pairs in the right order.

    A pair of equal scores counts ½.

    Args:
        y_true: `(N,)` of 0 and 1.
        y_score: `(N,)`.
        sample_weight: `(N,)`; a pair weighs the product. Defaults to `None`: all 1.

    Returns:
        float in 0 … 1; NaN where one class is missing or a score is NaN.

    Raises:
        ValueError: for lengths that differ or labels other than 0 and 1.

    Example:
    >>> keras_recs.metrics.auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    y_true, y_score, weight = checked_arrays(y_true, y_score, sample_weight)
    _, level = np.unique(y_score, return_inverse=True)
    positive = np.bincount(level, weight * y_true)
    negative = np.bincount(level, weight * (1 - y_true))
    pairs = positive.sum() * negative.sum()
    if pairs == 0 or np.isnan(y_score).any():
        return float("nan")
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)
