r"""DeepFM on Frappe: what a search over its hyperparameters gains over the defaults.

  python -m benchmarks.tuned_deepfm --data_dir=… --workdir=tuning/frappe

Everything by the programs that a user has: the raw files are fitted and written as
TFRecords; `pipelines.train` trains the defaults; `pipelines.tune` searches the default
space with a budget of trials and epochs; the best arguments are trained again with the
seeds of the defaults; `pipelines.evaluate` measures the test part, which no choice has
seen. Finished steps are not made again. The table goes into docs/tuning.md, the figures
into benchmarks/results/tuned_deepfm.json.
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from absl import app, flags

DATA_DIR = flags.DEFINE_string(
    "data_dir", os.environ.get("KERAS_RECS_DATA"), "Folder of the data sets."
)
WORKDIR = flags.DEFINE_string("workdir", "tuning/frappe", "Folder of all runs.")
TUNER = flags.DEFINE_string("tuner", "bayesian", "Of pipelines.tune.")
MAX_TRIALS = flags.DEFINE_integer("max_trials", 20, "The budget.", 1)
MAX_EPOCHS = flags.DEFINE_integer("max_epochs", 10, "The budget of a run.", 1)
SEEDS = flags.DEFINE_integer("seeds", 3, "Runs of the defaults and of the best.", 1)
SPLITS = ("train", "valid", "test")
PAGE, RESULTS = Path("docs/tuning.md"), Path("benchmarks/results/tuned_deepfm.json")
MARKS = ("<!-- tuned begin -->", "<!-- tuned end -->")


def run(program: str, *arguments: Any) -> None:
    """A program of `pipelines`, which must succeed."""
    print(program, *arguments, flush=True)
    command = [sys.executable, "-m", f"pipelines.{program}", *map(str, arguments)]
    subprocess.run(command, check=True)


def prepare(source: Path, folder: Path) -> None:
    """The published split as TFRecords, with vocabularies of its training part."""
    import keras_recs

    if (folder / "schema.json").exists():
        return
    import gzip

    with gzip.open(source / "train.csv.gz", "rt", newline="") as file:
        names = next(csv.reader(file))
    schema = keras_recs.Schema(
        features=[keras_recs.CategoricalFeature(n) for n in names if n != "label"],
        labels=[keras_recs.Label("label")],
    )
    fitted = keras_recs.preprocessing.fit(schema, source / "train.csv.gz", folder)
    for split in SPLITS:
        keras_recs.data.write_tfrecords(
            source / f"{split}.csv.gz", fitted, folder / split, overwrite=True
        )
    fitted.save(folder / "schema.json")


def train_and_measure(config: Path, workdir: Path, data: Path, seed: int) -> dict:
    """AUC and log loss of a run on the test part."""
    if not (workdir / "metrics.json").exists():
        run("train", f"--config={config}", f"--workdir={workdir}", f"--set=seed={seed}")
        run("evaluate", f"--workdir={workdir}", f"--data={data}/test-*")
    metrics = json.loads((workdir / "metrics.json").read_text(encoding="utf-8"))
    return metrics["test"]["label"]


def summary(runs: list[dict]) -> str:
    """The cells of a row."""
    cells = [str(len(runs))]
    for name in ("auc", "log_loss"):
        values = [run[name] for run in runs]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        cells.append(f"{statistics.mean(values):.4f} ± {spread:.4f}")
    return " | ".join(cells)


def main(_) -> None:
    """Makes what is missing and writes the table."""
    from benchmarks.hardware import hardware

    if not DATA_DIR.value:
        raise app.UsageError("--data_dir (or KERAS_RECS_DATA) is needed.")
    base = Path(WORKDIR.value)
    data = base / "prepared"
    prepare(Path(DATA_DIR.value) / "frappe", data)
    default = base / "default.json"
    settings = {"data": str(data), "model": "deepfm", "epochs": MAX_EPOCHS.value}
    default.write_text(json.dumps(settings), encoding="utf-8")
    start = time.perf_counter()
    run(
        "tune",
        f"--config={default}",
        f"--workdir={base / TUNER.value}",
        f"--tuner={TUNER.value}",
        f"--max_trials={MAX_TRIALS.value}",
        f"--max_epochs={MAX_EPOCHS.value}",
    )
    seconds = time.perf_counter() - start
    best = base / TUNER.value / "best" / "config.json"
    with open(base / TUNER.value / "trials.csv", newline="", encoding="utf-8") as file:
        trials = list(csv.DictReader(file))
    runs = {
        name: [
            train_and_measure(config, base / f"{name}_{seed}", data, seed)
            for seed in range(SEEDS.value)
        ]
        for name, config in (("default", default), ("tuned", best))
    }
    result = {
        **hardware(),
        "trials": len(trials),
        "epochs": sum(int(trial["epochs"] or 0) for trial in trials),
        "last_call_seconds": round(seconds),
        "best": json.loads(best.read_text(encoding="utf-8")),
        **runs,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    table = [
        f"DeepFM on Frappe, test part; the search made {result['trials']} trials, "
        f"{result['epochs']} epochs in all.",
        "",
        "| arguments | seeds | AUC | log loss |",
        "|---|--:|--:|--:|",
        f"| defaults | {summary(runs['default'])} |",
        f"| tuned | {summary(runs['tuned'])} |",
    ]
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(MARKS[0])
    tail = rest.partition(MARKS[1])[2]
    lines = "\n".join(["", *table, ""])
    PAGE.write_text(head + MARKS[0] + lines + MARKS[1] + tail, encoding="utf-8")
    print("\n".join(table))


if __name__ == "__main__":
    app.run(main)
