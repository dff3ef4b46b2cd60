"""The trials of a search as tables and as a picture."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_recs.evaluation.figure import figure
from keras_recs.tuning.importance import importance

_COLUMNS = (
    "trial",
    "status",
    "score",
    "epochs",
    "best_epoch",
    "seconds",
    "error",
)


def write_trials(
    trials: Sequence[dict[str, Any]],
    directory: str | os.PathLike,
    direction: str = "max",
    title: str = "",
) -> None:
    """Writes `trials.csv`, `trials.md` and `plots/importance.png`.

    The tables begin with the best trial; hyperparameters are the last columns. The plot
    shows `importance`, and is left out where no hyperparameter has one.

    Args:
        trials: as `read_trials` returns them.
        directory: folder of the files.
        direction: string. `"max"` if a higher score is better, else `"min"`. Defaults
            to `"max"`.
        title: string. Of the plot. Defaults to `""`.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    sign = -1 if direction == "max" else 1
    ordered = sorted(
        trials,
        key=lambda t: (t["score"] is None, sign * (t["score"] or 0), t["trial"]),
    )
    names = list(dict.fromkeys(name for trial in ordered for name in trial["values"]))
    header = [*_COLUMNS, *names]
    rows = [
        [trial[column] for column in _COLUMNS]
        + [trial["values"].get(name) for name in names]
        for trial in ordered
    ]
    temporary = folder / f".trials.{os.getpid()}.tmp"
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    os.replace(temporary, folder / "trials.csv")
    lines = [_line(header), _line(["---"] * len(header)), *map(_line, rows)]
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(temporary, folder / "trials.md")

    shares = importance(trials)
    if not shares:
        return
    with figure(folder / "plots" / "importance.png") as axis:
        order = list(shares)[::-1]
        axis.barh(order, [shares[name] for name in order])
        axis.set(
            xlim=(0, 1), xlabel="share of the scores' variance, each alone", title=title
        )


def _line(values: Sequence[Any]) -> str:
    cells = []
    for value in values:
        text = f"{value:.5g}" if isinstance(value, float) else str(value)
        text = "" if value is None else text
        cells.append(text.replace("|", "\\|").replace("\n", " "))
    return f"| {' | '.join(cells)} |"
