r"""`DynamicVocabulary` beside TensorFlow's hash tables, on the keys of one batch.

A map of one million keys, in the steady state: every key of a batch has its row. The
layer and the tables take turns in one process; a training step also counts the keys.
`filling` streams keys that are all new into an empty map, which no other step does.

  python -m benchmarks.dynamic_vocabulary \
    --output=benchmarks/results/dynamic_vocabulary.json
"""

import json
import statistics
import time
from pathlib import Path

from absl import app, flags

from benchmarks.hardware import hardware

MAX_KEYS = flags.DEFINE_integer("max_keys", 1_000_000, "Keys in the map.")
BATCH = flags.DEFINE_integer("batch_size", 2048, "Examples a step.")
FEATURES = flags.DEFINE_integer("features", 26, "Keys an example.")
ROUNDS = flags.DEFINE_integer("rounds", 40, "Batches, each looked up by all in turn.")
OUTPUT = flags.DEFINE_string("output", "", "JSON file that is written.")


def make_tables(keys):
    """TensorFlow's tables with the same keys, by name."""
    import numpy as np
    import tensorflow as tf

    mutable = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, -1)
    dense = tf.lookup.experimental.DenseHashTable(
        tf.int64, tf.int64, -1, empty_key=-2, deleted_key=-3
    )
    for table in (mutable, dense):
        table.insert(keys, np.arange(len(keys)))
    return {"MutableHashTable": mutable, "DenseHashTable": dense}


def main(_) -> None:
    """Runs the benchmark."""
    import numpy as np
    import tensorflow as tf

    from keras_recs.layers.embedding.dynamic_vocabulary import DynamicVocabulary

    rng = np.random.default_rng(0)
    keys = np.unique(rng.integers(1, 2**62, MAX_KEYS.value))
    rng.shuffle(keys)
    layer, empty = DynamicVocabulary(MAX_KEYS.value), DynamicVocabulary(MAX_KEYS.value)
    start = time.perf_counter()
    layer.load_vocabulary(keys)
    loading = time.perf_counter() - start
    empty.build()

    @tf.function
    def lookup(batch):
        return layer(batch)

    @tf.function
    def training(batch):
        return layer(batch, training=True)

    @tf.function
    def filling(batch):
        return empty(batch, training=True)

    runs = {"lookup": lookup, "training": training}
    for name, table in make_tables(keys).items():
        runs[name] = tf.function(table.lookup)
    shape = (BATCH.value * FEATURES.value,)  # the dense table takes no other
    times: dict[str, list[float]] = {name: [] for name in (*runs, "filling")}
    filling(tf.zeros(shape, tf.int64))
    for number in range(ROUNDS.value):
        batch = tf.constant(rng.choice(keys, shape))
        for name, run in runs.items():
            start = time.perf_counter()
            run(batch)
            if number:  # the first traces
                times[name].append(time.perf_counter() - start)
    for start_of_batch in range(0, len(keys) - shape[0], shape[0]):
        batch = tf.constant(keys[start_of_batch : start_of_batch + shape[0]])
        start = time.perf_counter()
        filling(batch)
        times["filling"].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in times.items()}
    result = {
        **hardware(),
        "max_keys": MAX_KEYS.value,
        "keys_per_step": shape[0],
        "slots": layer.num_slots,
        "load_factor": round(layer.load_factor, 3),
        "milliseconds": {
            name: {
                "median": round(1e3 * median[name], 2),
                "fastest": round(1e3 * min(values), 2),
                "slowest": round(1e3 * max(values), 2),
            }
            for name, values in times.items()
        },
        "lookup_over_mutable_hash_table": round(
            median["lookup"] / median["MutableHashTable"], 2
        ),
        "filled": {"keys": empty.num_keys, "dropped": empty.dropped},
        "load_vocabulary_seconds": round(loading, 2),
    }
    print(json.dumps(result, indent=2))
    if OUTPUT.value:
        Path(OUTPUT.value).parent.mkdir(parents=True, exist_ok=True)
        Path(OUTPUT.value).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
