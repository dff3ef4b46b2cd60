"""Medians, table and picture of the embedding benchmark."""

import statistics
from collections.abc import Sequence
from pathlib import Path

OURS = "keras_recs"
# Okabe and Ito's colours, which stay apart for colour-blind eyes.
COLOURS = (
    "#D55E00",
    "#0072B2",
    "#009E73",
    "#56B4E9",
    "#E69F00",
    "#CC79A7",
    "#000000",
)


def summarize(runs: Sequence[dict], peers: Sequence[str]) -> list[dict]:
    """One dict a cell, with one dict a library in it."""
    cells: dict[str, dict] = {}
    for run in runs:
        cell = cells.setdefault(repr(run["spec"]), {"spec": run["spec"], "runs": {}})
        cell["runs"].setdefault(run["peer"], []).append(run)
    summary = []
    for cell in cells.values():
        entries = {p: _entry(cell["runs"][p]) for p in peers if p in cell["runs"]}
        ours = entries.get(OURS, {}).get("examples_per_s")
        for entry in entries.values():
            if ours and "examples_per_s" in entry:
                entry["ours_over_peer"] = round(ours / entry["examples_per_s"], 2)
        summary.append({"spec": cell["spec"], "peers": entries})
    return sorted(summary, key=_order)


def write_report(runs, peers: Sequence[str], table: Path, picture: Path) -> None:
    """Puts the medians into the JSON and writes table and picture."""
    runs.cells = summarize(runs.runs, peers)
    runs.save()
    table.write_text(_markdown(runs.header, runs.cells, picture.name), encoding="utf-8")
    _draw(runs.cells, peers, picture)


def _order(cell):
    spec = cell["spec"]
    models = ("dlrm", "deepfm", "dcn_v2")
    return spec["input"], models.index(spec["model"]), spec["rows"], spec["batch"]


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
        "build_s": statistics.median(r["build_s"] for r in results),
        "first_step_s": statistics.median(r["first_step_s"] for r in results),
        "loss_first": last["loss_first"],
        "loss_last": last["loss_last"],
        "parameters": last["parameters"],
        "optimizer": last["optimizer"],
        "versions": last["versions"],
    }


def _markdown(header: dict, cells: Sequence[dict], picture: str) -> str:
    lines = [
        "# Embedding-heavy models beside other libraries",
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
    return "\n".join([*lines, "", *_details(cells), ""])


def _row(name: str, entry: dict) -> str:
    if entry["status"] != "done":
        why = entry["why"].strip().splitlines()[-1][:120].replace("|", "/")
        return f"| {name} | {entry['status']}: {why} | | | | | |"
    low, high = entry["examples_per_s_min"], entry["examples_per_s_max"]
    cells = [
        name,
        f"{entry['examples_per_s']:,.0f}",
        f"{low:,.0f} to {high:,.0f}",
        f"{entry['ours_over_peer']:.2f}" if "ours_over_peer" in entry else "",
        f"{entry['peak_rss_mb']:,.0f}",
        f"{entry['loss_first']:.3f}, {entry['loss_last']:.3f}",
        f"{entry['foreign_cores_max']:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _details(cells: Sequence[dict]) -> list[str]:
    """Versions and optimizer of each library."""
    details = {}
    for cell in cells:
        for name, entry in cell["peers"].items():
            if entry["status"] == "done":
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
    figure, axes = plt.subplots(figsize=(1.5 + 1.9 * max(len(groups), 2), 4.5))
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
                color=COLOURS[number % len(COLOURS)],
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
    return f"{spec['model']}\n{spec['rows']:,} rows{shared}{source}"
