"""ROC curve."""

import os

import numpy as np

from keras_recs import metrics
from keras_recs.evaluation.figure import figure


def plot_roc(y_true, y_score, path: str | os.PathLike, title: str = "") -> None:
    """Draws true against false positive rate and writes a PNG.

    Args:
        y_true: `(N,)` of 0 and 1.
        y_score: `(N,)`.
        path: file that is written.
        title: string. Defaults to `""`.
    """
    y_true, y_score = np.asarray(y_true), np.asarray(y_score)
    order = np.argsort(-y_score, kind="stable")
    last = np.r_[np.diff(y_score[order]) != 0, True]  # one point a threshold
    hits = np.cumsum(y_true[order])[last]
    alarms = np.cumsum(1 - y_true[order])[last]
    with figure(path) as axes:
        axes.plot(
            np.r_[0, alarms / max(alarms[-1], 1)],
            np.r_[0, hits / max(hits[-1], 1)],
            label=f"AUC {metrics.auc(y_true, y_score):.4f}",
        )
        axes.plot([0, 1], [0, 1], "--", color="gray", linewidth=1, label="chance")
        axes.set(xlabel="false positive rate", ylabel="true positive rate", title=title)
        axes.set_aspect("equal")
        axes.legend(loc="lower right")
