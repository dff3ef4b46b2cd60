r"""Every ranking model on public data, several seeds each, beside published values.

  python -m benchmarks.leaderboard --dataset=frappe --data_dir=…
  python -m benchmarks.leaderboard --dataset=ml-1m --data_dir=… --models=fm,deepfm
  KERAS_BACKEND=jax python -m benchmarks.leaderboard --dataset=frappe --data_dir=… \
      --shard=0/4            # one of four processes that share the work

Each finished run is a line in <output>/leaderboard_<dataset>.jsonl, so an interrupted
benchmark goes on where it was; a run of other settings is made anew. `--report` draws
table and picture from the lines; those of another --output need a --page, a copy of
benchmarks/leaderboard.md. It needs no TensorFlow.
"""

import dataclasses
import datetime
import json
import os
from pathlib import Path

from absl import app, flags

from benchmarks.result_lines import result_lines

DATASET = flags.DEFINE_enum("dataset", "frappe", ["frappe", "ml-1m"], "Data set.")
DATA_DIR = flags.DEFINE_string(
    "data_dir", os.environ.get("KERAS_RECS_DATA"), "Folder of the data sets."
)
MODELS = flags.DEFINE_list("models", [], "Builders; all by default.")
SEEDS = flags.DEFINE_integer("seeds", 5, "Runs a model.", 1)
SHARD = flags.DEFINE_string("shard", "0/1", "Which part of the runs: number/of.")
OUTPUT = flags.DEFINE_string("output", "benchmarks/results", "Folder of the lines.")
PAGE = flags.DEFINE_string(
    "page",
    None,
    "Page of the tables; of the default --output benchmarks/leaderboard.md, else none.",
)
REPORT = flags.DEFINE_bool("report", False, "Only write the table and the picture.")


def runs_to_make(names: list[str]) -> list[tuple[str, int]]:
    """(model, seed) pairs of this process: all models of a seed before the next."""
    number, of = (int(part) for part in SHARD.value.split("/"))
    runs = [(name, seed) for seed in range(SEEDS.value) for name in names]
    return runs[number::of]


def main(_) -> None:
    """Makes the runs that are missing, then the report."""
    from benchmarks.leaderboard.device_name import device_name
    from benchmarks.leaderboard.report import write_report
    from benchmarks.leaderboard.settings import BATCH_SIZE, EMBEDDING_DIM, SETTINGS

    settings = SETTINGS[DATASET.value]
    unknown = sorted(set(MODELS.value) - set(settings))
    if unknown:
        raise app.UsageError(f"--models: {unknown} are not among {sorted(settings)}")
    number = SHARD.value.partition("/")[0]
    folder = Path(OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"leaderboard_{DATASET.value.replace('-', '_')}"
    lines = folder / (f"{name}.jsonl" if SHARD.value == "0/1" else f"{name}.{number}")
    if not REPORT.value:
        if not DATA_DIR.value:
            raise app.UsageError("--data_dir (or KERAS_RECS_DATA) is needed.")
        import keras

        from benchmarks.leaderboard.data_sets import read_data_set
        from benchmarks.leaderboard.train_model import train_model

        data = read_data_set(DATASET.value, Path(DATA_DIR.value))
        made = {
            (line["model"], line["seed"], json.dumps(line["setting"]))
            for line in result_lines(folder, name)
        }
        for model, seed in runs_to_make(MODELS.value or list(settings)):
            setting = json.loads(json.dumps(dataclasses.asdict(settings[model])))
            if (model, seed, json.dumps(setting)) in made:
                continue
            result = train_model(
                model,
                settings[model],
                data,
                settings[model].embedding_dim or EMBEDDING_DIM[DATASET.value],
                settings[model].batch_size or BATCH_SIZE[DATASET.value],
                seed,
            )
            keras.backend.clear_session()
            line = {
                "model": model,
                "seed": seed,
                "setting": setting,
                **result,
                "device": device_name(),
                "backend": keras.backend.backend(),
                "keras": keras.__version__,
                "date": datetime.date.today().isoformat(),
            }
            with open(lines, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(
                f"{model} seed {seed}: AUC {line['auc']:.5f} logloss "
                f"{line['logloss']:.4f}, {line['epochs']} epochs, {line['seconds']} s",
                flush=True,
            )
    page = PAGE.value
    if page is None and OUTPUT.value == OUTPUT.default:
        page = "benchmarks/leaderboard.md"
    if SHARD.value == "0/1" and page:
        write_report(DATASET.value, result_lines(folder, name), Path(page))


if __name__ == "__main__":
    app.run(main)
