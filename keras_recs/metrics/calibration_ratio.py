"""Predicted over observed rate."""

from keras_recs.metrics.checked_arrays import checked_arrays


def calibration_ratio(y_true, y_score, sample_weight=None):
    """Mean prediction over mean label: 1 is calibrated, 2 predicts twice too much.

    Args:
        y_true: `(N,)` of 0 and 1, or other numbers of at least 0, such as times.
        y_score: `(N,)` probabilities, or what is predicted of the numbers.
        sample_weight: `(N,)`. Defaults to `None`: all 1.

    Returns:
        float; NaN where nothing but 0 was observed.

    Raises:
        ValueError: for lengths that differ, or labels that are negative or not finite.

    Example:
    >>> keras_recs.metrics.calibration_ratio([1, 0], [0.5, 0.5])
    1.0
    """
    y_true, y_score, weight = checked_arrays(
        y_true, y_score, sample_weight, binary=False
    )
    observed = (weight * y_true).sum()
    return float((weight * y_score).sum() / observed) if observed else float("nan")
