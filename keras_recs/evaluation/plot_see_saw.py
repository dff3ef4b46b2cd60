"""What tasks do to each other, as a picture."""

import csv
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

from keras_recs.evaluation.figure import figure
from keras_recs.evaluation.see_saw import TaskChange


def plot_see_saw(
    changes: Sequence[TaskChange],
    path: str | os.PathLike,
    history: str | os.PathLike | None = None,
    gates: dict | None = None,
    title: str = "",
) -> None:
    """Draws gains, cosines of gradients by epoch and shares of experts, as PNG.

    There is a panel for each of the three that is there, and no file without any.

    Args:
        changes: as `see_saw` returns them; empty where there are no twins.
        path: file that is written.
        history: `history.csv` of a run that logged `…_cosine`. Defaults to `None`.
        gates: as `gate_utilization` returns it. Defaults to `None`.
        title: string. Defaults to `""`.
    """
    rows: list[dict[str, str]] = []
    if history is not None and os.path.exists(history):
        with open(history, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    cosines = [name for name in (rows[0] if rows else {}) if name.endswith("_cosine")]
    bars = [
        (f"{layer}: {gate}", shares)
        for layer, entry in (gates or {}).items()
        for gate, shares in entry["gates"].items()
    ]
    panels: list[Callable[[Any], None]] = []
    if changes:
        panels.append(lambda axis: _draw_gains(axis, changes))
    if cosines:
        panels.append(lambda axis: _draw_cosines(axis, rows, cosines))
    if bars:
        panels.append(lambda axis: _draw_shares(axis, bars))
    if not panels:
        return
    with figure(path, ncols=len(panels)) as axes:
        axes = axes if len(panels) > 1 else [axes]
        axes[0].figure.set_size_inches(1 + 4 * len(panels), 4.5)
        for draw, axis in zip(panels, axes, strict=True):
            draw(axis)
        axes[0].figure.suptitle(title)


def _draw_gains(axis, changes) -> None:
    worse = ["tab:red" if change.gain < 0 else "tab:green" for change in changes]
    axis.barh([c.label for c in changes], [c.gain for c in changes], color=worse)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.invert_yaxis()
    axis.set(xlabel="gain over the model of the task alone")


def _draw_cosines(axis, rows, names) -> None:
    for name in names:
        values = [float(row[name] or math.nan) for row in rows]
        epochs = [int(row["epoch"]) + 1 for row in rows]
        label = name.removesuffix("_cosine")
        axis.plot(epochs, values, "o-", markersize=3, label=label)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set(xlabel="epoch", ylabel="cosine of gradients")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(fontsize="small")


def _draw_shares(axis, bars) -> None:
    # An expert has one colour in all bars, also where a gate does not see it.
    names = list(dict.fromkeys(name for _, shares in bars for name in shares))
    for place, (_, shares) in enumerate(bars):
        left = 0.0
        for name, share in shares.items():
            color = f"C{names.index(name) % 10}"
            axis.barh(place, share, left=left, edgecolor="white", color=color)
            left += share
    if len(names) <= 10:
        for number, name in enumerate(names):
            axis.barh(0, 0, color=f"C{number}", label=name)
        axis.legend(
            fontsize="small",
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=min(4, len(names)),
            frameon=False,
        )
    axis.set_yticks(range(len(bars)), [name for name, _ in bars])
    axis.invert_yaxis()
    axis.set(xlabel="share of each expert", xlim=(0, 1))
