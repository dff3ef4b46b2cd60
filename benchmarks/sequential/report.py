"""Table and curves of the finished runs."""

import statistics
from collections import defaultdict
from pathlib import Path

from benchmarks.sequential.settings import SETTINGS

COLUMNS = (
    ("full", "full catalogue"),
    ("authors", "100 uniform, as SASRec's authors"),
    ("unseen", "100 distinct unseen"),
    ("given", "given 99"),
    ("sessions", "sessions, P@20 / MRR@20"),
)


def table(lines: list[dict]) -> str:
    """HR@10 and NDCG@10 of each run by protocol, as Markdown; of sessions others."""
    by_run = defaultdict(list)
    for line in lines:
        by_run[line["run"]].append(line)
    shown = [
        "| run | seeds | " + " | ".join(title for _, title in COLUMNS) + " | epochs, "
        "steps | weights | train s |",
        "|---|---:|" + "---|" * len(COLUMNS) + "---:|---:|---:|",
    ]
    for run, found in sorted(by_run.items()):
        cells = [run, str(len(found))]
        for protocol, _ in COLUMNS:
            values = [line["test"].get(protocol) for line in found]
            cells.append("" if None in values else _pair(values, protocol))
        cells += [
            ", ".join(f"{line['best_epoch']}, {line['steps']:,}" for line in found),
            f"{found[0]['parameters']:,}",
            ", ".join(f"{line['train_seconds']:.0f}" for line in found),
        ]
        shown.append("| " + " | ".join(cells) + " |")
    return "\n".join(shown)


def _pair(values: list[dict], protocol: str) -> str:
    names = ("hit_rate@10", "ndcg@10")
    if protocol == "sessions":
        names = ("hit_rate@20", "mrr@20")
    return " / ".join(_mean([value[name] for value in values]) for name in names)


def _mean(values: list[float]) -> str:
    text = f"{statistics.fmean(values):.4f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.4f}"
    return text


def draw(lines: list[dict], path: Path) -> None:
    """Validation NDCG@10 over the whole catalogue by step, a panel a data set.

    A line a seed.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = sorted({line["run"].partition(" ")[0] for line in lines})
    rows = (len(names) + 1) // 2
    figure, panels = plt.subplots(rows, 2, figsize=(12, 4.5 * rows), squeeze=False)
    for panel, name in zip(panels.flat, names):
        colours = {}
        for line in lines:
            data_set, _, model = line["run"].partition(" ")
            # Curves of another protocol are not drawn.
            if data_set == name and SETTINGS[line["run"]].selection == "full":
                steps_an_epoch = line["steps"] / line["best_epoch"]
                steps = [row[0] * steps_an_epoch for row in line["curve"]]
                values = [row[2] for row in line["curve"]]
                label = None if model in colours else model  # all seeds in one colour
                colour = colours.setdefault(model, f"C{len(colours)}")
                panel.plot(steps, values, color=colour, label=label)
        panel.set_title(name)
        panel.set_xlabel("steps")
        panel.set_ylabel("validation NDCG@10, full catalogue")
        panel.set_xscale("log")
        panel.grid(linewidth=0.3)
        panel.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
