r"""A table of which a quarter is in memory beside the same one wholly in memory.

A step of the kind that DLRM trains: 26 rows an example from one table, then an MLP of
400 and 400 units, with row-wise Adagrad. Rows are drawn from a Zipf distribution over
the whole table, anew in every round, and both tables are trained on the same ones. The
two take turns in one process; the figures are the ratios of their median times, on the
clock and of all cores together, which other programs disturb less. `pager` is the time
of the host's part of a step, and `most_frequent` the hit rate of a cache that knows the
distribution and keeps its most frequent rows; a table of which fewer rows were seen
than there is room for is above it.

  python -m benchmarks.two_level_table --output=benchmarks/results/two_level_table.json
"""

import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from absl import app, flags

from benchmarks.hardware import hardware

ROWS = flags.DEFINE_integer("num_rows", 4_000_000, "Rows of the table.")
DIM = flags.DEFINE_integer("embedding_dim", 16, "Length of a row.")
HOT = flags.DEFINE_float("hot_share", 0.25, "Share of the rows that is in memory.")
EXPONENTS = flags.DEFINE_list("exponents", ["1.05", "1.2"], "Of the distributions.")
BATCH = flags.DEFINE_integer("batch_size", 2048, "Examples a step.")
STEPS = flags.DEFINE_integer("steps", 15, "Steps a round.")
WARM_UP = flags.DEFINE_integer("warm_up", 1000, "Lookups before the first round.")
ROUNDS = flags.DEFINE_integer("rounds", 9, "Rounds of each, in turn.")
OUTPUT = flags.DEFINE_string("output", "", "JSON file that is written.")
FIELDS = 26


def resident_megabytes() -> dict[str, float]:
    """Memory of this process, its own and that of mapped files (Linux)."""
    found = {}
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        name, _, value = line.partition(":")
        if name in ("RssAnon", "RssFile"):
            found[name] = int(value.split()[0]) / 1e3
    return {"own": found["RssAnon"], "mapped": found["RssFile"]}


def make_model(layer):
    """The rows of 26 fields and an MLP."""
    import keras

    import keras_recs

    inputs = keras.Input((FIELDS,), dtype="int32")
    features = keras.layers.Flatten()(layer(inputs))
    hidden = keras_recs.layers.MLP((400, 400))(features)
    outputs = keras.layers.Dense(1, activation="sigmoid")(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(
        keras_recs.optimizers.RowwiseAdagrad(0.01),
        loss="binary_crossentropy",
        jit_compile=False,
    )
    return model


def layers(folder: str):
    """The table in files, and a function that makes the one in memory."""
    import keras
    import tensorflow as tf

    from keras_recs.layers.embedding.two_level_table import TwoLevelTable

    class InMemory(keras.layers.Layer):
        supports_jit = False

        def build(self, input_shape):
            shape = (ROWS.value, DIM.value)
            self.embeddings = self.add_weight(shape=shape, initializer="uniform")
            self.embeddings.is_table = True

        def call(self, rows):
            return tf.nn.embedding_lookup(self.embeddings.value, rows)

    hot_rows = int(ROWS.value * HOT.value)
    return TwoLevelTable(ROWS.value, DIM.value, hot_rows, folder), InMemory


def host_time(pager) -> list[float]:
    """Lets the pager note the seconds of each of its calls, which it returns."""
    seconds: list[float] = []

    def timed(function):
        def call(*arguments):
            start = time.perf_counter()
            result = function(*arguments)
            seconds.append(time.perf_counter() - start)
            return result

        return call

    pager.plan, pager.store = timed(pager.plan), timed(pager.store)
    return seconds


def rounded(times: dict[str, list[float]]) -> dict[str, list[float]]:
    """Times with one digit after the point."""
    return {name: [round(t, 1) for t in values] for name, values in times.items()}


def slowdown(times: dict[str, list[float]]) -> float:
    """Ratio of the medians."""
    median = {name: statistics.median(values) for name, values in times.items()}
    return round(median["two_level"] / median["in_memory"], 3)


def measure(exponent: float) -> dict[str, Any]:
    """Trains both tables with rows of one distribution."""
    import keras
    import numpy as np

    rng = np.random.default_rng(0)
    cumulative = np.cumsum(np.arange(1.0, ROWS.value + 1) ** -exponent)
    cumulative /= cumulative[-1]
    row_of_rank = rng.permutation(ROWS.value).astype("int32")

    def data(steps):
        shape = steps * BATCH.value, FIELDS
        ranks = np.searchsorted(cumulative, rng.random(shape, "float32"))
        labels = rng.integers(2, size=(shape[0], 1)).astype("float32")
        return row_of_rank[np.minimum(ranks, ROWS.value - 1)], labels

    def fit(model, data):
        start = time.perf_counter(), time.process_time()
        model.fit(*data, batch_size=BATCH.value, shuffle=False, verbose=0)
        steps = len(data[0]) / BATCH.value
        return (
            1e3 * (time.perf_counter() - start[0]) / steps,
            1e3 * (time.process_time() - start[1]) / steps,
        )

    times: dict[str, list[tuple]] = {"two_level": [], "in_memory": []}
    with tempfile.TemporaryDirectory() as directory:
        table, in_memory = layers(f"{directory}/table")
        few = data(3)
        models = {"other": make_model(keras.layers.Embedding(9, DIM.value))}
        fit(models.pop("other"), (few[0] % 9, few[1]))  # what any model takes
        resident = [resident_megabytes()]
        models["two_level"] = make_model(table)
        fit(models["two_level"], few)
        for _ in range(WARM_UP.value):
            table(data(1)[0], training=True)
        resident.append(resident_megabytes())
        models["in_memory"] = make_model(in_memory())
        fit(models["in_memory"], few)
        resident.append(resident_megabytes())
        pager = table.pager
        pager.hits = pager.misses = pager.evictions = 0
        seconds = host_time(pager)
        for number in range(ROUNDS.value):
            part = data(STEPS.value)
            for name in sorted(models, reverse=number % 2 == 0):
                times[name].append(fit(models[name], part))
        steps = ROUNDS.value * STEPS.value
        start = time.perf_counter()
        table.flush()
        flushed = time.perf_counter() - start
        table_size = sum(
            512 * path.stat().st_blocks for path in Path(table.folder).iterdir()
        )
    wall, cpu = (
        {name: [value[kind] for value in values] for name, values in times.items()}
        for kind in (0, 1)
    )
    added = {
        name: {kind: round(after[kind] - before[kind]) for kind in before}
        for name, (before, after) in zip(times, itertools.pairwise(resident))
    }
    result = {
        "milliseconds_per_step": rounded(wall),
        "cpu_milliseconds_per_step": rounded(cpu),
        "slowdown": slowdown(wall),
        "cpu_slowdown": slowdown(cpu),
        "pager_milliseconds_per_step": round(1e3 * sum(seconds) / steps, 2),
        "hit_rate": round(pager.hit_rate, 4),
        "most_frequent": round(float(cumulative[pager.hot_rows - 1]), 4),
        "evictions_per_step": round(pager.evictions / steps),
        "rows_in_memory": pager.num_hot,
        "added_megabytes": added,
        "megabytes_on_disk": round(table_size / 1e6),
        "flush_seconds": round(flushed, 2),
    }
    pager.close()
    keras.backend.clear_session()
    return result


def main(_) -> None:
    """Runs the benchmark."""
    result = {
        **hardware(),
        "num_rows": ROWS.value,
        "embedding_dim": DIM.value,
        "hot_share": HOT.value,
        "batch_size": BATCH.value,
        "rows_per_step": BATCH.value * FIELDS,
        "zipf": {exponent: measure(float(exponent)) for exponent in EXPONENTS.value},
    }
    print(json.dumps(result, indent=2))
    if OUTPUT.value:
        Path(OUTPUT.value).parent.mkdir(parents=True, exist_ok=True)
        Path(OUTPUT.value).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
