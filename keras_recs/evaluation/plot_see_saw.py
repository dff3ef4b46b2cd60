"""What tasks do to each other, as a picture."""

import csv
import math
import os
from collections.abc import Sequence

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

    Args:
        changes: as `see_saw` returns them.
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
    with figure(path, ncols=3) as (gain, cosine, gate_axis):
        gain.figure.set_size_inches(13, 4.5)
        worse = ["tab:red" if change.gain < 0 else "tab:green" for change in changes]
        gain.barh([c.label for c in changes], [c.gain for c in changes], color=worse)
        gain.axvline(0, color="black", linewidth=0.8)
        gain.invert_yaxis()
        gain.set(xlabel="gain over the model of the task alone")
        for name in cosines:
            values = [float(row[name] or math.nan) for row in rows]
            epochs = [int(row["epoch"]) + 1 for row in rows]
            label = name.removesuffix("_cosine")
            cosine.plot(epochs, values, "o-", markersize=3, label=label)
        cosine.axhline(0, color="black", linewidth=0.8)
        cosine.set(xlabel="epoch", ylabel="cosine of gradients")
        cosine.xaxis.get_major_locator().set_params(integer=True)
        if cosines:
            cosine.legend(fontsize="small")
        for place, (_, shares) in enumerate(bars):
            left = 0.0
            for share in shares.values():
                gate_axis.barh(place, share, left=left, edgecolor="white")
                left += share
        gate_axis.set_yticks(range(len(bars)), [name for name, _ in bars])
        gate_axis.invert_yaxis()
        gate_axis.set(xlabel="share of each expert", xlim=(0, 1))
        gain.figure.suptitle(title)
