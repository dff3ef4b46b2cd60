r"""Studies of multi-task models, several seeds each.

  python -m benchmarks.multitask --study=synthetic
  python -m benchmarks.multitask --study=census --data_dir=…
  python -m benchmarks.multitask --study=funnel
  KERAS_BACKEND=jax python -m benchmarks.multitask --study=funnel --shard=0/4

Each finished run is a line in <output>/multitask_<study>.jsonl, so that an interrupted
study goes on where it was. --report prints the tables of benchmarks/multitask.md from
the lines. It needs no TensorFlow.
"""

import datetime
import importlib
import json
import os
import time
from pathlib import Path

from absl import app, flags

from benchmarks.leaderboard.device_name import device_name
from benchmarks.result_lines import result_lines

STUDY = flags.DEFINE_enum(
    "study", "synthetic", ["synthetic", "census", "funnel"], "What is trained."
)
DATA_DIR = flags.DEFINE_string(
    "data_dir", os.environ.get("KERAS_RECS_DATA", "."), "Folder of the data sets."
)
SEEDS = flags.DEFINE_integer("seeds", 20, "Runs a model.", 1)
SHARD = flags.DEFINE_string("shard", "0/1", "Which part of the runs: number/of.")
OUTPUT = flags.DEFINE_string("output", "benchmarks/results", "Folder of the lines.")
REPORT = flags.DEFINE_bool("report", False, "Only print the table.")


def main(_) -> None:
    """Makes the runs that are missing, or prints what they say."""
    study = importlib.import_module(f"benchmarks.multitask.{STUDY.value}")
    folder, name = Path(OUTPUT.value), f"multitask_{STUDY.value}"
    folder.mkdir(parents=True, exist_ok=True)
    found = result_lines(folder, name)
    if REPORT.value:
        print(study.report(found))
        return
    import keras

    number, of = (int(part) for part in SHARD.value.split("/"))
    lines = folder / (f"{name}.jsonl" if SHARD.value == "0/1" else f"{name}.{number}")
    made = {json.dumps(line["setting"], sort_keys=True) for line in found}
    data_dir = Path(DATA_DIR.value)
    for setting in study.settings(found, SEEDS.value)[number::of]:
        if json.dumps(setting, sort_keys=True) in made:
            continue
        keras.utils.set_random_seed(setting["seed"])
        start = time.perf_counter()
        result = study.run(setting, data_dir)
        line = {
            "setting": setting,
            **result,
            "seconds": round(time.perf_counter() - start, 1),
            "device": device_name(),
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "date": datetime.date.today().isoformat(),
        }
        keras.backend.clear_session()
        with open(lines, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(setting, result, line["seconds"], flush=True)


if __name__ == "__main__":
    app.run(main)
