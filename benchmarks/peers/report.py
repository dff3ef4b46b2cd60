"""Medians, tables and picture of a benchmark beside other libraries."""

import dataclasses
import statistics
from collections.abc import Sequence
from pathlib import Path

OURS = "keras_recs"
LAST = (  # what the last round tells for all
    "loss_first",
    "loss_last",
    "parameters",
    "optimizer",
    "mflop_per_example",
    "versions",
)
# Okabe and Ito's colours, which stay apart for colour-blind eyes.
COLOURS = {
    "keras_recs": "#D55E00",
    "torchrec": "#0072B2",
    "stock_keras": "#009E73",
    "keras_rs": "#56B4E9",
    "deepctr": "#E69F00",
    "torch_rechub": "#CC79A7",
    "fuxictr": "#000000",
    "matrix_products": "#BBBBBB",
}


@dataclasses.dataclass(frozen=True)
class Form:
    """What a report looks like.

    Attributes:
        title: string.
        peers: names of the libraries, in their order.
        models: names of the models, in theirs.
        has_overview: bool. Whether one table of all cells comes first.
    """

    title: str
    peers: tuple[str, ...]
    models: tuple[str, ...]
    has_overview: bool = False


def summarize(runs: Sequence[dict], form: Form) -> list[dict]:
    """One dict a cell, with one dict a library in it."""
    cells: dict[str, dict] = {}
    for run in runs:
        cell = cells.setdefault(repr(run["spec"]), {"spec": run["spec"], "runs": {}})
        cell["runs"].setdefault(run["peer"], []).append(run)
    summary = []
    for cell in cells.values():
        entries = {p: _entry(cell["runs"][p]) for p in form.peers if p in cell["runs"]}
        ours = entries.get(OURS, {}).get("examples_per_s")
        for entry in entries.values():
            if ours and "examples_per_s" in entry:
                entry["ours_over_peer"] = round(ours / entry["examples_per_s"], 2)
        summary.append({"spec": cell["spec"], "peers": entries})

    def order(cell):
        spec = cell["spec"]
        model = form.models.index(spec["model"])
        return spec["input"], model, spec["rows"], spec["batch"]

    return sorted(summary, key=order)


def write_report(runs, form: Form, table: Path, picture: Path) -> None:
    """Puts the medians into the JSON and writes table and picture."""
    runs.cells = summarize(runs.runs, form)
    runs.save()
    text = _markdown(runs.header, runs.cells, form, picture.name)
    table.write_text(text, encoding="utf-8")
    _draw(runs.cells, form.peers, picture)


def _entry(runs: list[dict]) -> dict:
    results = [run["result"] for run in runs if run["status"] == "done"]
    if not results:
        return {"status": runs[-1]["status"], "why": runs[-1]["why"]}
    speeds = [result["examples_per_s"] for result in results]
    last = results[-1]
    return {
        "status": "done",
        "runs": len(results),
        "examples_per_s": statistics.median(speeds),
        "examples_per_s_min": min(speeds),
        "examples_per_s_max": max(speeds),
        "foreign_cores_max": max(
            run["foreign_cores"] for run in runs if run["status"] == "done"
        ),
        "step_ms": statistics.median(r["step_ms_median"] for r in results),
        "peak_rss_mb": statistics.median(r["peak_rss_mb"] for r in results),
        **_medians(results, "build_s", "first_step_s", "gflop_per_s"),
        **{name: last[name] for name in LAST if name in last},
    }


def _medians(results: Sequence[dict], *names: str) -> dict:
    there = [name for name in names if name in results[0]]
    return {name: statistics.median(r[name] for r in results) for name in there}


def _markdown(header: dict, cells: Sequence[dict], form: Form, picture: str) -> str:
    lines = [
        f"# {form.title}",
        "",
        f"`{header['command']}` on {header['cores']} cores of {header['processor']}, "
        f"{header['memory_gb']} GB, Python {header['python']}, {header['date']}; "
        f"{header['threads']} threads each, seed {header['seed']}. The speed of a "
        "round is that of its median step; median, lowest and highest round. Foreign "
        "cores: used by other programs meanwhile, in the worst round. "
        f"A run ends after {header['timeout_s']:g} s or at "
        f"{header['memory_limit_gb']:g} GB. Generated.",
        "",
        f"![Examples a second]({picture})",
    ]
    if form.has_overview:
        lines += ["", *_overview(cells, form.peers)]
    for cell in cells:
        spec = cell["spec"]
        tables = "one table" if spec["tables"] == 1 else f"{spec['tables']} tables"
        lines += [
            "",
            f"## {spec['model']}, {tables} of {spec['rows']:,} rows, batch "
            f"{spec['batch']}, {spec['input']}",
            "",
            "| library | examples/s | lowest to highest | keras_recs / it | peak MB "
            "| loss, first and last steps | foreign cores |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for name, entry in cell["peers"].items():
            lines.append(_row(name, entry))
        for entry in cell["peers"].values():
            if "mflop_per_example" in entry:
                lines += ["", _products(entry)]
    return "\n".join([*lines, "", *_details(cells), ""])


def _overview(cells: Sequence[dict], peers: Sequence[str]) -> list[str]:
    """One row a cell: examples a second and keras_recs / it, and peak memory."""
    lines = [
        "Examples a second, and in brackets keras_recs / it; below, peak megabytes. "
        "`matrix_products` is no library but the most that the machine could do.",
    ]
    for name, unit in (("examples_per_s", "examples/s"), ("peak_rss_mb", "MB")):
        lines += [
            "",
            f"| {unit} | {' | '.join(peers)} |",
            f"|---|{'---:|' * len(peers)}",
        ]
        for cell in cells:
            texts = []
            for peer in peers:
                entry = cell["peers"].get(peer, {})
                text = f"{entry[name]:,.0f}" if name in entry else "–"
                if unit == "examples/s" and peer != OURS and "ours_over_peer" in entry:
                    text += f" ({entry['ours_over_peer']:.2f})"
                texts.append(text)
            label = _label(cell["spec"]).replace("\n", ", ")
            lines.append(f"| {label} | {' | '.join(texts)} |")
    return lines


def _row(name: str, entry: dict) -> str:
    if entry["status"] != "done":
        why = entry["why"].strip().splitlines()[-1][:120].replace("|", "/")
        return f"| {name} | {entry['status']}: {why} | | | | | |"
    low, high = entry["examples_per_s_min"], entry["examples_per_s_max"]
    losses = ""
    if "loss_first" in entry:
        losses = f"{entry['loss_first']:.3f}, {entry['loss_last']:.3f}"
    cells = [
        name,
        f"{entry['examples_per_s']:,.0f}",
        f"{low:,.0f} to {high:,.0f}",
        f"{entry['ours_over_peer']:.2f}" if "ours_over_peer" in entry else "",
        f"{entry['peak_rss_mb']:,.0f}",
        losses,
        f"{entry['foreign_cores_max']:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _products(entry: dict) -> str:
    return (
        f"Matrix products: {entry['mflop_per_example']:.2f} MFLOP an example, at "
        f"{entry['gflop_per_s']:.0f} GFLOP/s."
    )


def _details(cells: Sequence[dict]) -> list[str]:
    """Versions and optimizer of each library."""
    details = {}
    for cell in cells:
        for name, entry in cell["peers"].items():
            if "optimizer" in entry:
                details[name] = entry
    lines = ["| library | optimizer | versions |", "|---|---|---|"]
    for name, entry in details.items():
        versions = ", ".join(f"{k} {v}" for k, v in entry["versions"].items())
        lines.append(f"| {name} | {entry['optimizer']} | {versions} |")
    return lines


def _draw(cells: Sequence[dict], peers: Sequence[str], path: Path) -> None:
    """Bars by cell and library, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    groups = [c for c in cells if any("step_ms" in e for e in c["peers"].values())]
    inches = 1.9 if len(groups) < 8 else 1.2
    figure, axes = plt.subplots(figsize=(1.5 + inches * max(len(groups), 2), 4.5))
    width = 0.85 / len(peers)
    for number, peer in enumerate(peers):
        places, heights, errors = [], [], []
        for place, cell in enumerate(groups):
            entry = cell["peers"].get(peer, {})
            if "examples_per_s" in entry:
                middle = entry["examples_per_s"]
                places.append(place + (number - (len(peers) - 1) / 2) * width)
                heights.append(middle)
                low, high = entry["examples_per_s_min"], entry["examples_per_s_max"]
                errors.append((middle - low, high - middle))
        if places:
            axes.bar(
                places,
                heights,
                width,
                yerr=list(zip(*errors)),
                label=peer,
                color=COLOURS[peer.removesuffix("_onednn")],
                hatch="//" if peer.endswith("_onednn") else None,
                error_kw={"elinewidth": 0.8, "ecolor": "#777777"},
            )
    axes.set_yscale("log")
    axes.set_ylabel("examples a second")
    axes.set_xticks(range(len(groups)), [_label(cell["spec"]) for cell in groups])
    axes.grid(axis="y", which="both", linewidth=0.3)
    axes.set_axisbelow(True)
    if groups:
        place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}
        axes.legend(ncols=4, fontsize="small", **place)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _label(spec: dict) -> str:
    source = "" if spec["input"] == "memory" else f"\n{spec['input']}"
    shared = "\none table" if spec["tables"] == 1 else ""
    name = spec["model"].replace("_", " ")
    return f"{name}\n{spec['rows']:,} rows{shared}{source}"
