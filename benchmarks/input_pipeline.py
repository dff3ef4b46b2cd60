r"""`model.fit` from TFRecords beside `model.fit` from the same tensors in memory.

DLRM on the Criteo form: 26 categorical features, 13 numbers, random values, batch 4096.
The two take turns in one process; the figure is the ratio of their median times. Beside
it stands the time of the TFRecord pipeline alone, without a model.

  python -m benchmarks.input_pipeline --output=benchmarks/results/input_pipeline.json
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

from absl import app, flags

from benchmarks.hardware import hardware

VOCABULARY = flags.DEFINE_integer("vocabulary_size", 10_000, "Ids of each feature.")
KIND = flags.DEFINE_enum(
    "kind", "identity", ["identity", "hash"], "Integer ids, or strings that are hashed."
)
BATCH = flags.DEFINE_integer("batch_size", 4096, "Examples a step.")
STEPS = flags.DEFINE_integer("steps", 40, "Steps an epoch.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Epochs of each, in turn.")
OUTPUT = flags.DEFINE_string("output", "", "JSON file that is written.")


def make_data(num_rows: int):
    """A schema and random columns for it."""
    import numpy as np

    import keras_recs

    size = VOCABULARY.value
    options = {"vocabulary_size" if KIND.value == "identity" else "hash_bins": size}
    ids = [keras_recs.CategoricalFeature(f"C{i}", **options) for i in range(26)]
    numbers = [keras_recs.NumericFeature(f"I{i}", transform="log1p") for i in range(13)]
    schema = keras_recs.Schema([*ids, *numbers], [keras_recs.Label("click")])
    rng = np.random.default_rng(0)
    columns = {f.name: rng.integers(size, size=num_rows) for f in ids}
    columns |= {f.name: rng.lognormal(size=num_rows) for f in numbers}
    return schema, columns | {"click": rng.integers(2, size=num_rows)}


def write_parquet(columns, path: Path) -> None:
    """Writes the columns as a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)


def main(_) -> None:
    """Runs the benchmark."""
    import keras

    import keras_recs

    schema, columns = make_data(BATCH.value * STEPS.value)
    with tempfile.TemporaryDirectory() as directory:
        raw = Path(directory) / "raw.parquet"
        write_parquet(columns, raw)
        keras_recs.data.write_tfrecords(str(raw), schema, f"{directory}/train")
        files = f"{directory}/train-*"
        records = keras_recs.data.tfrecord_dataset(files, schema, BATCH.value)
        memory = keras_recs.data.array_dataset(columns, schema, BATCH.value)
        model = keras_recs.models.dlrm(schema)
        model.compile("adagrad", loss="binary_crossentropy")
        sources = {"memory": memory, "tfrecord": records}
        times: dict[str, list[float]] = {"memory": [], "tfrecord": [], "pipeline": []}
        for source in sources.values():
            model.fit(source, epochs=1, verbose=0, shuffle=False)  # warm up
        for _ in range(ROUNDS.value):
            for name, source in sources.items():
                start = time.perf_counter()
                model.fit(source, epochs=1, verbose=0, shuffle=False)
                times[name].append((time.perf_counter() - start) / STEPS.value)
            start = time.perf_counter()
            for _ in records:
                pass
            times["pipeline"].append((time.perf_counter() - start) / STEPS.value)
        size = sum(path.stat().st_size for path in Path(directory).glob("train-*"))
    del model
    keras.backend.clear_session()
    median = {name: statistics.median(values) for name, values in times.items()}
    result = {
        **hardware(),
        "vocabulary_size": VOCABULARY.value,
        "kind": KIND.value,
        "batch_size": BATCH.value,
        "megabytes": round(size / 1e6, 1),
        "milliseconds_per_step": {
            name: [round(1e3 * v, 2) for v in values] for name, values in times.items()
        },
        "examples_per_second": {
            name: round(BATCH.value / value) for name, value in median.items()
        },
        "tfrecord_over_memory": round(median["memory"] / median["tfrecord"], 3),
    }
    print(json.dumps(result, indent=2))
    if OUTPUT.value:
        Path(OUTPUT.value).parent.mkdir(parents=True, exist_ok=True)
        Path(OUTPUT.value).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
