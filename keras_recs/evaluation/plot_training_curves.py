"""Metrics by epoch."""

import csv
import math
import os

from keras_recs.evaluation.figure import figure


def plot_training_curves(
    history: str | os.PathLike, path: str | os.PathLike, title: str = ""
) -> None:
    """Draws loss and AUC, or ranks, by epoch from a `history.csv` and writes a PNG.

    Args:
        history: CSV file with an `epoch` column, as `training.fit` writes it.
        path: file that is written.
        title: string. Defaults to `""`.
    """
    with open(history, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) + 1 for row in rows]
    names = [name for name in (rows[0] if rows else {}) if name != "epoch"]
    groups = [
        [name for name in names if name.endswith("loss")],
        [name for name in names if name.lower().endswith("auc") or "@" in name],
    ]
    scores = "at k" if any("@" in name for name in groups[1]) else "AUC"
    with figure(path, ncols=2) as axes:
        for axis, group, label in zip(axes, groups, ("loss", scores), strict=True):
            for name in group:
                values = [float(row[name] or math.nan) for row in rows]
                axis.plot(epochs, values, "o-", markersize=3, label=name)
            axis.set(xlabel="epoch", ylabel=label)
            axis.xaxis.get_major_locator().set_params(integer=True)
            if group:
                axis.legend(fontsize="small")
        axes[0].figure.suptitle(title)
