"""Checks that the metrics share."""

import numpy as np


def checked_arrays(y_true, y_score, sample_weight=None, *, binary=True):
    """Flat float64 arrays of one length; missing weights are 1.

    Raises:
        ValueError: for lengths that differ, no example, negative weights, or labels
            other than 0 and 1; where they need not be `binary`, for negative ones.
    """
    y_true = np.asarray(y_true, "float64").reshape(-1)
    y_score = np.asarray(y_score, "float64").reshape(-1)
    if sample_weight is None:
        sample_weight = np.ones_like(y_true)
    weight = np.asarray(sample_weight, "float64").reshape(-1)
    if not len(y_true) == len(y_score) == len(weight) or not len(y_true):
        raise ValueError(
            "`y_true`, `y_score` and `sample_weight` must have one length of at least "
            f"1. Received lengths: {len(y_true)}, {len(y_score)}, {len(weight)}"
        )
    outside = ~np.isfinite(y_true) | (y_true < 0)
    if binary:
        outside = (y_true != 0) & (y_true != 1)
    if outside.any():
        raise ValueError(
            f"`y_true` must hold {'0 and 1' if binary else 'finite numbers ≥ 0'} only. "
            f"Received: {y_true[outside][0]} in row {int(np.argmax(outside))}"
        )
    if not (weight >= 0).all():
        raise ValueError(
            "`sample_weight` must not be negative or NaN. Received: "
            f"{weight[~(weight >= 0)][0]}"
        )
    return y_true, y_score, weight
