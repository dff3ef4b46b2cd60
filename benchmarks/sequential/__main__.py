r"""Models of sequences beside the figures of their papers.

  python -m benchmarks.sequential --data_dir=… --runs='ml-1m sasrec ce' --seeds=3
  KERAS_BACKEND=jax python -m benchmarks.sequential --data_dir=… --seconds=500

`benchmarks/sequential/settings.py` has the runs. Each is trained until its validation
NDCG@10 over the whole catalogue does not rise any more; the best epoch is tested. A
finished run is a line in <output>/sequential.jsonl; --report prints the table of
benchmarks/sequential.md and draws the curves. An interrupted one, or one whose
time is over (--seconds), goes on from <checkpoints>. It needs no TensorFlow.
"""

import datetime
import json
import os
import time
from pathlib import Path

from absl import app, flags

from benchmarks.leaderboard.device_name import device_name
from benchmarks.result_lines import result_lines
from benchmarks.sequential.report import draw, table
from benchmarks.sequential.settings import SETTINGS

DATA_DIR = flags.DEFINE_string(
    "data_dir", os.environ.get("KERAS_RECS_DATA", "."), "Folder of the data sets."
)
RUNS = flags.DEFINE_list("runs", [], "Names in settings.py; none: all.")
SEEDS = flags.DEFINE_integer("seeds", 3, "Runs of each.", 1)
SHARD = flags.DEFINE_string("shard", "0/1", "Which part of the runs: number/of.")
SECONDS = flags.DEFINE_float("seconds", 1e9, "After which training pauses.")
OUTPUT = flags.DEFINE_string("output", "benchmarks/results", "Folder of the lines.")
CHECKPOINTS = flags.DEFINE_string(
    "checkpoints", "runs/sequential", "Folder of interrupted runs."
)
REPORT = flags.DEFINE_bool("report", False, "Only print the table, draw the curves.")


def main(_) -> None:
    """Makes the runs that are missing, or reports on those that are there."""
    end = time.monotonic() + SECONDS.value
    if REPORT.value:
        lines = result_lines(Path(OUTPUT.value), "sequential")
        print(table(lines))
        draw(lines, Path("benchmarks/sequential.png"))
        return
    import keras

    from benchmarks.sequential.run import Run

    unknown = sorted(set(RUNS.value) - set(SETTINGS))
    if unknown:
        raise app.UsageError(f"--runs must be among {sorted(SETTINGS)}: {unknown}")
    folder, checkpoints = Path(OUTPUT.value), Path(CHECKPOINTS.value)
    for path in (folder, checkpoints):
        path.mkdir(parents=True, exist_ok=True)
    number, of = (int(part) for part in SHARD.value.split("/"))
    name = "sequential"
    lines = folder / (f"{name}.jsonl" if SHARD.value == "0/1" else f"{name}.{number}")
    made = {(line["run"], line["seed"]) for line in result_lines(folder, name)}
    wanted = [
        (run, seed) for seed in range(SEEDS.value) for run in RUNS.value or SETTINGS
    ]
    for run, seed in wanted[number::of]:
        if (run, seed) in made or time.monotonic() > end:
            continue
        one = Run(run, seed, Path(DATA_DIR.value), checkpoints)
        if not one.go_on(end):
            continue
        line = {
            "run": run,
            "seed": seed,
            **one.result(),
            "device": device_name(),
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "date": datetime.date.today().isoformat(),
        }
        with open(lines, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(run, seed, line["test"], flush=True)


if __name__ == "__main__":
    app.run(main)
