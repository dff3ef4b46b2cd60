"""Cross-entropy of probabilities."""

import numpy as np

from keras_recs.metrics.checked_arrays import checked_arrays


def log_loss(y_true, y_score, sample_weight=None, epsilon=1e-7):
    """Mean of −[y log p + (1 − y) log(1 − p)] in nats.

    Args:
        y_true: `(N,)` of 0 and 1.
        y_score: `(N,)` probabilities.
        sample_weight: `(N,)`. Defaults to `None`: all 1.
        epsilon: float. Least distance of a probability from 0 and 1. Defaults to
            `1e-7`.

    Returns:
        float; NaN if a probability is.

    Raises:
        ValueError: for lengths that differ, or labels other than 0 and 1.

    Example:
    >>> round(keras_recs.metrics.log_loss([1, 0], [0.5, 0.5]), 4)
    0.6931
    """
    y_true, y_score, weight = checked_arrays(y_true, y_score, sample_weight)
    p = np.clip(y_score, epsilon, 1 - epsilon)
    losses = -(y_true * np.log(p) + (1 - y_true) * np.log1p(-p))
    total = weight.sum()
    return float((weight * losses).sum() / total) if total else float("nan")
