r"""What checkpoints and the check for finite gradients cost.

  python -m benchmarks.recovery.cost [--seconds=150 --rounds=3]

`check` and `checkpoints`: a DeepFM over 26 features with tables of 40,000 rows of 16
and a tower of 400-400, batches of 2048 from memory, in `keras_recs.training.fit` with
its defaults and without; the variants take turns. A run lasts `--seconds`, so that a
checkpoint or more fall into it at the default interval of a minute.

`pause`: how long training stands still for a checkpoint of a table of `--gigabytes`
that row-wise AdaGrad trains, beside one copy of such a table in memory.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.hardware import hardware

PARTS = flags.DEFINE_list("parts", ["check", "checkpoints", "pause"], "Which.")
SECONDS = flags.DEFINE_float("seconds", 150.0, "Of a run with checkpoints.", 1.0)
CHECK_SECONDS = flags.DEFINE_float("check_seconds", 30.0, "Of a run of the check.", 1.0)
ROUNDS = flags.DEFINE_integer("rounds", 3, "Runs of each variant.", 1)
GIGABYTES = flags.DEFINE_float("gigabytes", 2.0, "Of the table.", 0.01)
OUTPUT = flags.DEFINE_string(
    "output", "benchmarks/results/recovery_cost.json", "JSON file."
)
FEATURES, ROWS, DIM, BATCH, STEPS = 26, 40_000, 16, 2048, 50
WARMUP = 20  # steps


def schema_of(features: int, rows: int):
    """Ids that need no vocabulary."""
    import keras_recs

    return keras_recs.Schema(
        features=[
            keras_recs.CategoricalFeature(f"C{i}", vocabulary_size=rows)
            for i in range(features)
        ],
        labels=[keras_recs.Label("click")],
    )


def batches_of(schema, rows: int, num_steps: int):
    """The same batches again and again, from memory."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    size = (STEPS, BATCH)
    inputs = {
        name: rng.integers(2, rows + 2, size).astype("int32")
        for name in schema.feature_names
    }
    labels = {"click": rng.integers(0, 2, (*size, 1)).astype("float32")}
    data = tf.data.Dataset.from_tensor_slices((inputs, labels)).repeat()
    known = tf.data.experimental.assert_cardinality(num_steps)
    return data.take(num_steps).apply(known).prefetch(2)


def compiled(schema):
    """DeepFM."""
    import keras

    import keras_recs

    keras.utils.set_random_seed(0)
    model = keras_recs.models.deepfm(schema, DIM, (400, 400))
    model.compile(
        keras_recs.optimizers.RowwiseAdagrad(0.01),
        "binary_crossentropy",
        jit_compile=False,
    )
    return model


def steps_per_second(seconds: float, **options) -> float:
    """Of a run that lasts so long."""
    import keras

    import keras_recs

    class Watch(keras.callbacks.Callback):
        done = 0
        start = 0.0

        def on_train_batch_end(self, batch, logs=None):
            self.done += 1
            now = time.perf_counter()
            if self.done == WARMUP:
                self.start = now
            self.model.stop_training = self.done > WARMUP and now - self.start > seconds
            self.speed = (self.done - WARMUP) / max(now - self.start, 1e-9)

    schema = schema_of(FEATURES, ROWS)
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        keras_recs.training.fit(
            compiled(schema),
            batches_of(schema, ROWS, 10**6),
            schema,
            folder,
            callbacks=[watch],
            verbose=0,
            **options,
        )
    keras.backend.clear_session()
    return watch.speed


def compare(seconds: float, first: dict, second: dict) -> dict:
    """Steps a second of two variants, which take turns."""
    speeds: dict[str, list[float]] = {"with": [], "without": []}
    for number in range(ROUNDS.value):
        variants = [("with", first), ("without", second)]
        for name, options in variants if number % 2 == 0 else variants[::-1]:
            speeds[name].append(steps_per_second(seconds, **options))
            print(name, options, f"{speeds[name][-1]:.2f} steps/s", flush=True)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    return {
        "seconds_of_a_run": seconds,
        "steps_per_second": speeds,
        "slower_by": 1 - medians["with"] / medians["without"],
    }


def pause() -> dict:
    """Of a checkpoint, beside one copy."""
    import keras_recs
    from keras_recs.training.checkpoints import Checkpoints
    from keras_recs.training.run_state import RunState

    rows = int(GIGABYTES.value * 1e9 / 4 / DIM)
    schema = schema_of(1, rows)
    model = keras_recs.models.wide_and_deep(schema, DIM, (64,))
    optimizer = keras_recs.optimizers.RowwiseAdagrad(0.01)
    model.compile(optimizer, "binary_crossentropy", jit_compile=False)
    model.fit(batches_of(schema, rows, 20), verbose=0, shuffle=False)
    table = max(model.trainable_variables, key=lambda v: int(np.prod(v.shape)))
    state = RunState(model, [])
    copies, pauses, writes, nexts = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(folder, keep=1)
        for _ in range(ROUNDS.value):
            source = np.ones(tuple(table.shape), "float32")
            start = time.perf_counter()
            np.copy(source)
            copies.append(time.perf_counter() - start)
            del source
            start = time.perf_counter()
            read, about = state.capture()
            pauses.append(time.perf_counter() - start)
            start = time.perf_counter()
            checkpoints.save(read, about)
            checkpoints.wait()
            writes.append(time.perf_counter() - start)
            del read
            # A table that the checkpoint still held would be copied by the next step.
            start = time.perf_counter()
            read, about = state.capture()
            middle = time.perf_counter()
            model.fit(batches_of(schema, rows, 1), verbose=0, shuffle=False)
            nexts.append(time.perf_counter() - middle)
            del read
    return {
        "gigabytes": 4 * rows * DIM / 1e9,
        "seconds_of_one_copy": copies,
        "seconds_of_the_pause": pauses,
        "seconds_of_the_step_after_it": nexts,
        "seconds_until_it_was_on_the_disk": writes,
        "pause_over_copy": statistics.median(pauses) / statistics.median(copies),
    }


def main(_) -> None:
    """Runs the benchmark."""
    path = Path(OUTPUT.value)
    results = json.loads(path.read_text()) if path.exists() else {}
    command = " ".join(["python -m benchmarks.recovery.cost", *sys.argv[1:]])
    made = {**hardware(), "command": command}
    if "check" in PARTS.value:
        never = {"checkpoint_seconds": 1e9}
        results["check"] = made | compare(
            CHECK_SECONDS.value,
            {**never, "on_nonfinite": "stop"},
            {**never, "on_nonfinite": "ignore"},
        )
    if "checkpoints" in PARTS.value:
        results["checkpoints"] = made | compare(
            SECONDS.value, {}, {"checkpoint_seconds": 1e9}
        )
    if "pause" in PARTS.value:
        results["pause"] = made | pause()
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)
