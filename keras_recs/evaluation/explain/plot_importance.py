"""Bars of feature importance."""

import os
from typing import Any

import numpy as np

from keras_recs.evaluation.figure import figure


def plot_importance(
    result: dict[str, Any],
    path: str | os.PathLike,
    title: str = "",
    metric: str | None = None,
    top: int = 40,
) -> None:
    """Draws the importance of features, the largest on top, and writes a PNG.

    Args:
        result: that of one label, as `permutation_importance` returns it.
        path: file that is written.
        title: string. Defaults to `""`.
        metric: string. Defaults to `None`: the first, AUC or squared error.
        top: int. Features that are drawn at most. Defaults to `40`.

    Raises:
        ValueError: for a metric that was not measured.
    """
    metric = metric or next(iter(result["baseline"]))
    if metric not in result["baseline"]:
        raise ValueError(
            f"`metric` must be one that was measured: {list(result['baseline'])}. "
            f"Received: metric={metric!r}"
        )
    values = {name: found[metric] for name, found in result["importance"].items()}
    order = sorted(values, key=lambda name: -_number(values[name]["mean"]))[:top]
    change = "rise" if metric in ("log_loss", "mse") else "drop"
    with figure(path) as axes:
        axes.figure.set_size_inches(6, max(4.5, 1.2 + 0.2 * len(order)))
        axes.barh(
            order,
            [values[name]["mean"] for name in order],
            xerr=[values[name]["std"] for name in order],
            capsize=2,
        )
        axes.invert_yaxis()
        axes.axvline(0, color="gray", linewidth=1)
        axes.tick_params(axis="y", labelsize="small")
        axes.set(xlabel=f"{change} of {metric} when shuffled", title=title)


def _number(value: float) -> float:
    """Sorts what could not be measured below all."""
    return -np.inf if np.isnan(value) else value
