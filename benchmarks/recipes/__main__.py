r"""What each training recipe does to small models on public data.

  python -m benchmarks.recipes --data_dir=…
  python -m benchmarks.recipes --data_dir=… --recipes=negatives,rates --seeds=3
  python -m benchmarks.recipes --report      # only the tables, from the results

It writes benchmarks/results/recipes.json, recipe by recipe, and the tables of
docs/recipes.md.
"""

import json
import os
import statistics
from pathlib import Path
from typing import Any

from absl import app, flags

DATA_DIR = flags.DEFINE_string(
    "data_dir", os.environ.get("KERAS_RECS_DATA"), "Folder of the data sets."
)
NAMES = flags.DEFINE_list("recipes", [], "Recipes to run; all by default.")
SEEDS = flags.DEFINE_integer("seeds", 3, "Runs a variant.", 1)
OUTPUT = flags.DEFINE_string(
    "output", "benchmarks/results/recipes.json", "File of the results."
)
PAGE = flags.DEFINE_string("page", "docs/recipes.md", "Page with the tables.")
REPORT = flags.DEFINE_bool("report", False, "Only write the tables.")

_DIGITS = {
    "auc": 4,
    "first valid AUC": 4,
    "logloss": 4,
    "calibration": 3,
    "epoch": 1,
    "epochs to 0.97": 1,
}


def table(lines: list[dict], columns: tuple[tuple[str, ...], ...]) -> str:
    """Mean ± standard deviation of the columns, a row a variant."""
    names = [" ".join(column).replace("_", " ") for column in columns]
    rows = [
        f"| variant | {' | '.join(names)} |",
        f"|---|{'--:|' * len(columns)}",
    ]
    for variant in dict.fromkeys(line["variant"] for line in lines):
        own = [line for line in lines if line["variant"] == variant]
        cells = [
            _cell([_value(line, column) for line in own], column[-1])
            for column in columns
        ]
        rows.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _value(line: dict, column: tuple[str, ...]) -> Any:
    value: Any = line
    for name in column:
        value = value[name]
    return value


def _cell(values: list[float], name: str) -> str:
    digits = _DIGITS.get(name, 1 if name == "seconds_per_epoch" else 0)
    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) < 2 or name == "steps":
        return mean
    return f"{mean} ± {statistics.stdev(values):.{digits}f}"


def write_page(results: dict[str, Any], page: Path) -> None:
    """Replaces the tables between their marks."""
    from benchmarks.recipes.runs import RECIPES

    text = page.read_text(encoding="utf-8")
    for name, result in results["recipes"].items():
        begin, end = (f"<!-- {name} {word} -->" for word in ("begin", "end"))
        head, _, rest = text.partition(begin)
        _, found, tail = rest.partition(end)
        if not found:
            raise ValueError(f"'{page}' has no place for the table: {begin} … {end}")
        recipe = RECIPES[name]
        body = table(result["runs"], recipe.columns)
        text = f"{head}{begin}\n{recipe.title}:\n\n{body}\n{end}{tail}"
    page.write_text(text, encoding="utf-8")


def main(_) -> None:
    """Runs the recipes, one after another."""
    output = Path(OUTPUT.value)
    results: dict[str, Any] = {"recipes": {}}
    if output.exists():
        results = json.loads(output.read_text(encoding="utf-8"))
    if not REPORT.value:
        from benchmarks.hardware import hardware
        from benchmarks.recipes.runs import RECIPES, run_recipe

        if not DATA_DIR.value:
            raise app.UsageError("--data_dir (or KERAS_RECS_DATA) is needed.")
        unknown = sorted(set(NAMES.value) - set(RECIPES))
        if unknown:
            raise app.UsageError(f"--recipes: {unknown} are not among {[*RECIPES]}")
        machine = hardware()
        command = "python -m benchmarks.recipes --data_dir=… "
        for name in NAMES.value or RECIPES:
            runs = run_recipe(name, Path(DATA_DIR.value), SEEDS.value)
            machine["command"] = f"{command}--recipes={name} --seeds={SEEDS.value}"
            results["recipes"][name] = {**machine, "runs": runs}
            text = json.dumps(results, indent=1, ensure_ascii=False)
            output.write_text(text + "\n", encoding="utf-8")
    write_page(results, Path(PAGE.value))


if __name__ == "__main__":
    app.run(main)
