r"""Whether workers that do not wait for each other learn as well as one machine.

  python -m benchmarks.servers.accuracy --data_dir=data [--seeds=0,1,2]

The same DeepFM is trained by `pipelines.train` on one machine and by two workers with
two parameter servers, on the synthetic click log and on `data_dir/frappe`, with
the same seeds. AUC is that of the best epoch on the validation part.
"""

import csv
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.hardware import hardware

DATA_DIR = flags.DEFINE_string("data_dir", "data", "Folder with frappe/.")
SEEDS = flags.DEFINE_list("seeds", ["0", "1"], "Seeds of the model and the order.")
OUTPUT = flags.DEFINE_string(
    "output", "benchmarks/results/server_accuracy.json", "JSON file."
)
LIMIT = 550  # seconds a run
SETTINGS = {
    "synthetic": ["epochs=2", "batch_size=256"],
    "frappe": [
        "epochs=6",
        "batch_size=1024",
        "optimizer=lazy_adam",
        "learning_rate=1e-3",
        "model_arguments={'embedding_dim': 10, 'hidden_units': (400, 400, 400)}",
    ],
}


def prepare_synthetic(folder: Path) -> None:
    """The click log of the quickstart."""
    from keras_recs import data

    schema = data.synthetic_clicks(folder / "clicks.csv")
    split = data.Split(kind="time")
    data.prepare(folder / "clicks.csv", schema, folder / "prepared", split=split)


def prepare_frappe(folder: Path) -> None:
    """TFRecords of the published parts."""
    import keras_recs
    from keras_recs import data, preprocessing

    logs = {}
    for split in ("train", "valid"):
        logs[split] = folder / f"{split}.csv"
        with gzip.open(Path(DATA_DIR.value) / "frappe" / f"{split}.csv.gz") as file:
            logs[split].write_bytes(file.read())
    with open(logs["train"], encoding="utf-8") as file:
        names = next(csv.reader(file))
    schema = keras_recs.Schema(
        [keras_recs.CategoricalFeature(n) for n in names if n != "label"],
        [keras_recs.Label("label")],
    )
    prepared = folder / "prepared"
    schema = preprocessing.fit(schema, logs["train"], prepared)
    schema.save(prepared / "schema.json")
    for split, log in logs.items():
        data.write_tfrecords(log, schema, prepared / split, num_shards=8)


def best_auc(folder: Path, name: str, seed: int, strategy: str) -> float:
    """Trains; the best AUC of an epoch."""
    workdir = folder / f"{strategy}-{seed}"
    command = [sys.executable, "-m"]
    if strategy == "parameter_server":
        command += ["pipelines.launch_local", "--workers=2", "--ps=2", "--"]
        command += ["python", "-m"]
    command += ["pipelines.train", f"--workdir={workdir}", f"--strategy={strategy}"]
    command.append("--config=pipelines/configs/synthetic_deepfm.py")
    for setting in (f"data={folder / 'prepared'}", f"seed={seed}", *SETTINGS[name]):
        command += ["--set", setting]
    subprocess.run(command, check=True, timeout=LIMIT, stdout=subprocess.DEVNULL)
    with open(workdir / "history.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    (column,) = [c for c in rows[0] if c.startswith("val_") and c.endswith("_auc")]
    return max(float(row[column]) for row in rows)


def main(_) -> None:
    """Runs the benchmark."""
    results = {
        **hardware(),
        "command": " ".join(["python -m benchmarks.servers.accuracy", *sys.argv[1:]]),
    }
    for name, prepare in (("synthetic", prepare_synthetic), ("frappe", prepare_frappe)):
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder))
            found = {
                strategy: [
                    best_auc(Path(folder), name, int(seed), strategy)
                    for seed in SEEDS.value
                ]
                for strategy in ("none", "parameter_server")
            }
        means = {strategy: float(np.mean(values)) for strategy, values in found.items()}
        difference = means["parameter_server"] - means["none"]
        results[name] = {"auc": found, "means": means, "difference": difference}
        print(name, json.dumps(results[name]), flush=True)
        Path(OUTPUT.value).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
