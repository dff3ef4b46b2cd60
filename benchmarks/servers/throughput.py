r"""Examples a second of workers beside servers, and what a step costs each of them.

  python -m benchmarks.servers.throughput [--clusters=1:2,2:2,3:2,1:1,1:4,2:4]

A cluster is a number of workers and one of servers, among which each table is split.
All processes are of this machine and share its cores: a second worker adds no machine.
Beside them stands the same run without servers. Bytes are those of the loopback
interface; the floor is what a step must move: the distinct rows of the batch and their
gradients, their numbers both ways, and the dense weights and their gradients.
`docs/scale.md` has what follows from that for large clusters.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.hardware import hardware
from benchmarks.servers.runs import (
    BATCH,
    FEATURES,
    ROWS,
    VALUES,
    make_model,
    steps_of,
    write,
)

CLUSTERS = flags.DEFINE_list(
    "clusters", ["1:2", "2:2", "3:2", "1:1", "1:4", "2:4"], "Workers and servers."
)
OUTPUT = flags.DEFINE_string("output", "benchmarks/results/servers.json", "JSON file.")
LIMIT = 500  # seconds a run


def run(folder: Path, num_workers: int, num_servers: int) -> dict:
    """Trains; examples a second and bytes a step behind the first epoch."""
    command = [sys.executable, "-m"]
    if num_workers:
        command += ["pipelines.launch_local", f"--workers={num_workers}"]
        command += [f"--ps={num_servers}"]
        command += ["--max_restarts=0", "--", "python", "-m"]
    strategy = "parameter_server" if num_workers else "none"
    command += ["benchmarks.servers.runs", "wide", str(folder), strategy]
    command.append(str(max(1, num_servers)))
    subprocess.run(command, check=True, timeout=LIMIT, stdout=subprocess.DEVNULL)
    history = json.loads((folder / "result.json").read_text())
    epochs = len(history["history"]["loss"])
    steps = history["iterations"] / epochs
    seconds = history["history"]["epoch_seconds"][1:]
    moved = history["history"]["epoch_bytes"][1:]
    return {
        "workers": num_workers,
        "servers": num_servers,
        "examples_per_second": ROWS["wide"] / float(np.mean(seconds)),
        "bytes_per_step": float(np.mean(moved)) / steps,
        "cpu_ms_per_step": {
            kind: 1e3 * np.mean(history["history"][f"epoch_cpu_{kind}"][1:]) / steps
            for kind in ("chief", "worker", "ps")
        },
        "iterations": history["iterations"],
        "scheduled_steps": epochs * steps_of("wide", folder, num_workers),
    }


def floor(folder: Path) -> dict:
    """Bytes that a step must move."""
    from keras_recs import Schema
    from keras_recs.data import tfrecord_dataset

    schema = Schema.load(folder / "prepared")
    data = tfrecord_dataset(str(folder / "train-*"), schema, BATCH["wide"])
    rows = [
        sum(len(np.unique(batch[0][f"c{n}"])) for n in range(FEATURES))
        for batch in data.take(20)
    ]
    model = make_model("wide", schema)
    tables = [v for v in model.trainable_variables if getattr(v, "is_table", False)]
    dense = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    dense -= sum(int(np.prod(v.shape)) for v in tables)
    # Each table, of vectors or of first-order weights, is asked for the same values.
    widths = {int(v.shape[1]) for v in tables}
    numbers = 4  # bytes of a row's number
    in_rows = sum(2 * np.mean(rows) * (4 * width + numbers) for width in widths)
    return {
        "distinct_rows": float(np.mean(rows)),
        "of_rows": BATCH["wide"] * FEATURES,
        "rows": float(in_rows),
        "dense_weights": float(2 * 4 * dense),
        "bytes_per_step": float(in_rows + 2 * 4 * dense),
    }


def main(_) -> None:
    """Runs the benchmark."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write("wide", folder)
        runs = []
        for cluster in ("0:0", *CLUSTERS.value):
            runs.append(run(folder, *map(int, cluster.split(":"))))
            print(json.dumps(runs[-1]), flush=True)
        results = {
            **hardware(),
            "command": "python -m benchmarks.servers.throughput "
            + " ".join(sys.argv[1:]),
            "features": FEATURES,
            "values": VALUES,
            "batch_size": BATCH["wide"],
            "runs": runs,
            "floor": floor(folder),
        }
    Path(OUTPUT.value).write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results["floor"]))


if __name__ == "__main__":
    app.run(main)
