r"""The tables of docs/choosing.md: what each model reaches, and what it costs.

  python -m benchmarks.choosing

It measures nothing: accuracy comes from the lines of benchmarks.leaderboard, cost from
those of benchmarks.ranking, the histories from benchmarks.histories. Run it after any.
"""

import json
from pathlib import Path

from absl import app

from benchmarks.histories.report import markdown_table
from benchmarks.histories.report import read_lines as read_histories
from benchmarks.leaderboard.report import summarize
from benchmarks.result_lines import result_lines

RESULTS, PAGE = Path("benchmarks/results"), Path("docs/choosing.md")


def costs() -> dict[str, dict]:
    """By model: examples a second, megaflops of an example, megabytes."""
    content = json.loads((RESULTS / "ranking.json").read_text(encoding="utf-8"))
    found = {}
    for cell in content["cells"]:
        ours = cell["peers"].get("keras_recs", {})
        if "examples_per_s" in ours:
            floor = cell["peers"].get("matrix_products", {})
            megaflops = floor.get("mflop_per_example")
            found[cell["spec"]["model"]] = {**ours, "megaflops": megaflops}
    return found


def accuracy(dataset: str) -> dict[str, str]:
    """By row of the leaderboard: AUC."""
    lines = result_lines(RESULTS, f"leaderboard_{dataset.replace('-', '_')}")
    return {
        row["model"]: f"{row['auc']:.4f} ± {row['auc_std']:.4f}"
        for row in summarize(dataset, lines)
    }


def replaced(text: str, name: str, table: list[str]) -> str:
    """The page with another table between the marks of that name.

    Raises:
        ValueError: if the page has no such marks.
    """
    begin, end = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"'{PAGE}' has no place for the table: {begin} … {end}")
    lines = "\n".join(["", *table, ""])
    return f"{head}{begin}{lines}{end}{tail}"


def main(_) -> None:
    """Rewrites the tables."""
    frappe, movielens = accuracy("frappe"), accuracy("ml-1m")
    table = [
        "| model | AUC, Frappe | AUC, MovieLens 1M | trains, examples/s | "
        "µs an example | MFLOP an example |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for model, cost in costs().items():
        speed, megaflops = cost["examples_per_s"], cost["megaflops"]
        cells = [
            f"`{model}`",
            frappe.get(model, "–"),
            movielens.get(model, "–"),
            f"{speed:,.0f}",
            f"{1e6 / speed:.0f}",
            f"{megaflops:.1f}" if megaflops else "–",
        ]
        table.append("| " + " | ".join(cells) + " |")
    text = PAGE.read_text(encoding="utf-8")
    text = replaced(text, "table", table)
    text = replaced(text, "histories", markdown_table(read_histories(RESULTS)))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
