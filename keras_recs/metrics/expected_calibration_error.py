"""Distance of predicted from observed rates."""

import numpy as np

from keras_recs.metrics.checked_arrays import checked_arrays


def reliability_bins(y_true, y_score, num_bins=20):
    """Mean prediction, observed rate and size of bins of about equal size, by score.

    Returns:
        Three arrays, one entry a bin.
    """
    y_true, y_score, _ = checked_arrays(y_true, y_score)
    order = np.argsort(y_score, kind="stable")
    parts = np.array_split(order, min(num_bins, len(order)))
    predicted = np.array([y_score[part].mean() for part in parts])
    observed = np.array([y_true[part].mean() for part in parts])
    return predicted, observed, np.array([len(part) for part in parts])


def expected_calibration_error(y_true, y_score, num_bins=20):
    """Mean |predicted − observed rate| over bins of equal size, by score.

    Bins hold the same number of examples: with bins of equal width nearly all
    click probabilities would fall into the first.

    Args:
        y_true: `(N,)` of 0 and 1.
        y_score: `(N,)` probabilities.
        num_bins: int. Defaults to `20`.

    Returns:
        float in 0 … 1.

    Raises:
        ValueError: for lengths that differ, or labels other than 0 and 1.

    Example:
    >>> keras_recs.metrics.expected_calibration_error([1, 0], [0.5, 0.5], num_bins=1)
    0.0
    """
    predicted, observed, size = reliability_bins(y_true, y_score, num_bins)
    return float(np.average(np.abs(predicted - observed), weights=size))
