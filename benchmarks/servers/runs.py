"""The runs that the benchmarks of this folder start, in each process of a cluster.

  python -m benchmarks.servers.runs KIND FOLDER STRATEGY [NUM_SHARDS]

`wide` is a DeepFM on 26 features of 40,000 values each. `counting` has a weight for
each example, which falls by 1 when the example is trained; it ends with the epoch in
which `FOLDER/enough` appears. The folder has what `write` puts there.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

FEATURES, VALUES = 26, 40_000
ROWS = {"wide": 204_800, "counting": 5_000}
BATCH = {"wide": 1024, "counting": 50}
EPOCHS = {"wide": 3, "counting": 100_000}
CHECKPOINT_STEPS = 25  # of the counting run


def write(kind: str, folder: Path, num_shards: int = 8) -> None:
    """Writes a raw log, its schema and TFRecords.

    Args:
        kind: "wide" or "counting".
        folder: where to.
        num_shards: int. Files.
    """
    import pandas as pd

    import keras_recs
    from keras_recs import data, preprocessing

    rows = ROWS[kind]
    rng = np.random.default_rng(0)
    if kind == "counting":
        columns = {"row": np.arange(rows), "y": np.zeros(rows)}
        features = [keras_recs.CategoricalFeature("row", vocabulary_size=rows)]
        labels = [keras_recs.Label("y", task="regression")]
    else:
        # A few values are frequent, as in logs.
        columns = {
            f"c{n}": np.minimum(rng.zipf(1.2, rows) - 1, VALUES - 1)
            for n in range(FEATURES)
        }
        columns["click"] = rng.integers(0, 2, rows)
        features = [
            keras_recs.CategoricalFeature(f"c{n}", vocabulary_size=VALUES)
            for n in range(FEATURES)
        ]
        labels = [keras_recs.Label("click")]
    log = folder / "log.csv"
    pd.DataFrame(columns).to_csv(log, index=False)
    schema = preprocessing.fit(
        keras_recs.Schema(features, labels), log, folder / "prepared"
    )
    schema.save(folder / "prepared" / "schema.json")
    data.write_tfrecords(log, schema, folder / "train", num_shards=num_shards)


def steps_of(kind: str, folder: Path, num_workers: int) -> int:
    """Steps of an epoch: of all data, or of the chunks that workers share."""
    from keras_recs import Schema
    from keras_recs.data import tfrecord_dataset

    schema = Schema.load(folder / "prepared")
    data = tfrecord_dataset(str(folder / "train-*.tfrecord"), schema, BATCH[kind])
    if not num_workers:
        return int(data.cardinality())
    return sum(chunk.num_steps for chunk in data.record_source.chunks(num_workers))


def bytes_on_loopback() -> int:
    """Bytes that went between processes of this machine since it runs."""
    for line in Path("/proc/net/dev").read_text("ascii").splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[0])
    raise OSError("This machine has no loopback interface in /proc/net/dev.")


def tasks_of(launcher: int) -> dict[str, int]:
    """Process of each task that a launcher started, such as "ps 0"."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text("ascii")
    found = {}
    for child in children.split():
        try:
            entries = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        except OSError:  # it ended
            continue
        for entry in entries:
            if entry.startswith(b"TF_CONFIG="):
                task = json.loads(entry.partition(b"=")[2])["task"]
                found[f"{task['type']} {task['index']}"] = int(child)
    return found


def cpu_seconds() -> dict[str, float]:
    """CPU time of the chief, all workers and all servers since they run."""
    spent = {"chief": 0.0, "worker": 0.0, "ps": 0.0}
    for name, process in (tasks_of(os.getppid()) or {"chief 0": os.getpid()}).items():
        stat = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2]
        ticks = sum(map(int, stat.split()[11:13]))  # in the program and in the system
        spent[name.split()[0]] += ticks / os.sysconf("SC_CLK_TCK")
    return spent


def make_model(kind: str, schema, num_shards: int = 1):
    """A compiled model."""
    import keras

    from keras_recs import models, optimizers

    keras.utils.set_random_seed(0)
    if kind == "counting":
        model = models.logistic_regression(schema)
        loss = keras.losses.Loss(reduction="sum")
        loss.call = lambda y_true, y_pred: y_pred[:, 0]
        model.compile(keras.optimizers.SGD(1.0), loss)
        return model
    model = models.deepfm(
        schema, 16, (128, 64), embedding_options={"num_shards": num_shards}
    )
    model.compile(optimizers.RowwiseAdagrad(0.01), "binary_crossentropy")
    return model


def main() -> None:
    """Runs it; a worker or a server serves."""
    kind, folder, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    num_shards = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    from keras_recs.training import fit, make_strategy

    strategy = make_strategy(name)
    import keras

    from keras_recs import Schema
    from keras_recs.data import tfrecord_dataset

    schema = Schema.load(folder / "prepared")
    train = tfrecord_dataset(str(folder / "train-*"), schema, BATCH[kind])
    with strategy.scope():
        model = make_model(kind, schema, num_shards)
    steps = open(folder / "steps.txt", "a", encoding="ascii")  # noqa: SIM115

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch
            self.start = (time.perf_counter(), bytes_on_loopback(), cpu_seconds())

        def on_epoch_end(self, epoch, logs=None):
            seconds = time.perf_counter() - self.start[0]
            logs["epoch_seconds"] = seconds
            logs["epoch_bytes"] = bytes_on_loopback() - self.start[1]
            for kind, spent in cpu_seconds().items():
                logs[f"epoch_cpu_{kind}"] = spent - self.start[2][kind]
            if (folder / "enough").exists():
                self.model.stop_training = True

        def on_train_batch_end(self, batch, logs=None):
            steps.write(f"{self.epoch} {batch}\n")
            steps.flush()

    history = fit(
        model,
        train,
        schema,
        folder / "run",
        epochs=EPOCHS[kind],
        callbacks=[Watch()],
        checkpoint_steps=CHECKPOINT_STEPS if kind == "counting" else None,
        verbose=0,
    )
    result = {"history": history.history, "iterations": int(model.optimizer.iterations)}
    if kind == "counting":
        linear = model.get_layer("linear").weight_of_value
        counts = -linear.read_rows("row", np.arange(2, 2 + ROWS[kind]))[:, 0]
        np.save(folder / "counts.npy", counts)
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
