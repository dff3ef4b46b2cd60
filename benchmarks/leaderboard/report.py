"""Table and picture of the leaderboard."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.leaderboard.settings import PUBLISHED, SETTINGS

_MARK = "<!-- {} {} -->"
_NAMES = {"frappe": "Frappe", "ml-1m": "MovieLens 1M"}


def write_report(dataset: str, lines: Sequence[dict], page: Path) -> None:
    """Replaces a data set's table in the page and draws its picture."""
    begin, end = (_MARK.format(dataset, word) for word in ("begin", "end"))
    text = page.read_text(encoding="utf-8")
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"'{page}' has no place for the table: {begin} … {end}")
    picture = page.with_name(f"leaderboard_{dataset.replace('-', '_')}.png")
    rows = summarize(dataset, lines)
    table = _markdown(rows, picture.name, _NAMES[dataset])
    page.write_text(f"{head}{begin}\n{table}\n{end}{tail}", encoding="utf-8")
    _draw(rows, picture, _NAMES[dataset])


def summarize(dataset: str, lines: Sequence[dict]) -> list[dict]:
    """One dict a model, of its last settings, the worst mean AUC first."""
    rows = []
    for model in SETTINGS[dataset]:
        mine = [line for line in lines if line["model"] == model]
        if not mine:
            continue
        setting = mine[-1]["setting"]
        runs = {line["seed"]: line for line in mine if line["setting"] == setting}
        runs = [runs[seed] for seed in sorted(runs)]
        row = {
            "model": model,
            "runs": len(runs),
            "published": PUBLISHED[dataset][model],
            "devices": sorted({run["device"] for run in runs}),
            "best": max(run["auc"] for run in runs),
            "epochs": statistics.mean(run["epochs"] for run in runs),
            "seconds": statistics.mean(run["seconds"] for run in runs),
            "parameters": runs[0]["parameters"],
        }
        for metric in ("auc", "logloss"):
            values = [run[metric] for run in runs]
            row[metric] = statistics.mean(values)
            row[f"{metric}_std"] = statistics.stdev(values) if len(values) > 1 else 0.0
        rows.append(row)
    return sorted(rows, key=lambda row: row["auc"])


def _pair(values) -> str:
    if values is None:
        return ""
    auc, logloss = values
    return f"{auc:.5f}".rstrip("0") + ("" if logloss is None else f" / {logloss}")


def _markdown(rows, picture, title) -> str:
    lines = [
        f"![AUC on {title}]({picture})",
        "",
        "| model | runs | AUC | best AUC | logloss | published best | published mean | "
        "peer's code, one seed | epochs | seconds | parameters |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in reversed(rows):
        published = row["published"]
        lines.append(
            f"| {row['model']} | {row['runs']} | {row['auc']:.5f} ± "
            f"{row['auc_std']:.5f} | {row['best']:.5f} | {row['logloss']:.4f} ± "
            f"{row['logloss_std']:.4f} | {_pair(published.best)} | "
            f"{_pair(published.average)} | {_pair(published.rerun)} | "
            f"{row['epochs']:.1f} | {row['seconds']:.0f} | {row['parameters']:,} |"
        )
    devices = sorted({device for row in rows for device in row["devices"]})
    lines += ["", f"Trained on: {', '.join(devices)}."]
    return "\n".join(lines)


def _draw(rows, path, title) -> None:
    from keras_recs.evaluation.figure import figure

    with figure(path) as axes:
        places = range(len(rows))
        axes.errorbar(
            [row["auc"] for row in rows],
            places,
            xerr=[row["auc_std"] for row in rows],
            fmt="o",
            color="#0072B2",
            label="mean ± standard deviation",
        )
        for key, marker, colour, label in (
            ("best", "|", "#D55E00", "published best of five"),
            ("average", "x", "#009E73", "published mean"),
        ):
            points = [
                (getattr(row["published"], key)[0], place)
                for place, row in zip(places, rows, strict=True)
                if getattr(row["published"], key)
            ]
            if points:
                xs, ys = zip(*points, strict=True)
                axes.scatter(xs, ys, marker=marker, s=90, color=colour, label=label)
        axes.set_yticks(list(places), [row["model"] for row in rows])
        axes.set_xlabel("AUC on the test part")
        axes.set_title(title)
        axes.legend(loc="lower right")
        axes.grid(axis="x", alpha=0.3)
