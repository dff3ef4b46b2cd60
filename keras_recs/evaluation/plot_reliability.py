"""Reliability diagram."""

import os

import numpy as np

from keras_recs import metrics
from keras_recs.evaluation.figure import figure
from keras_recs.metrics.expected_calibration_error import reliability_bins


def plot_reliability(
    y_true, y_score, path: str | os.PathLike, title: str = "", num_bins: int = 20
) -> None:
    """Draws the observed rate against the predicted one and writes a PNG.

    Args:
        y_true: `(N,)` of 0 and 1.
        y_score: `(N,)` probabilities.
        path: file that is written.
        title: string. Defaults to `""`.
        num_bins: int. Bins of equal size. Defaults to `20`.
    """
    predicted, observed, _ = reliability_bins(y_true, y_score, num_bins)
    ratio = metrics.calibration_ratio(y_true, y_score)
    error = metrics.expected_calibration_error(y_true, y_score, num_bins)
    top = float(np.nanmax([*predicted, *observed, 1e-3])) * 1.05
    with figure(path) as axes:
        axes.plot([0, top], [0, top], "--", color="gray", linewidth=1, label="ideal")
        axes.plot(
            predicted, observed, "o-", label=f"ratio {ratio:.3f}, ECE {error:.4f}"
        )
        axes.set(
            xlabel="mean prediction of a bin",
            ylabel="observed rate",
            title=title,
            xlim=(0, top),
            ylim=(0, top),
        )
        axes.legend(loc="upper left")
