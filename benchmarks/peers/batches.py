"""Seeded batches on which every peer trains."""

from pathlib import Path

import numpy as np

from benchmarks.peers.peer_run import NUM_NUMBERS

_FEATURES = 26


def make_batches(
    folder: Path, rows: int, batch: int, num_batches: int, seed: int, history: int = 0
) -> Path:
    """Writes the batches, unless they are there, and returns the `.npz`.

    Ids are uniform over the table, so no cache helps; labels come from a planted model
    of the ids and the numbers, so that the loss can fall. A history has between one and
    `history` values of feature 0, which then is never 0, as uniform as its own; each
    comes with a negative.
    """
    kind = f"-history-{history}" if history else ""
    path = folder / f"batches-{rows}-{batch}-{num_batches}-{seed}{kind}.npz"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, rows])
    factors = rng.integers(1, 2**31, size=_FEATURES, dtype=np.uint64) * 2 + 1
    weights = 0.4 * rng.standard_normal(NUM_NUMBERS)
    ids = np.empty((num_batches, batch, _FEATURES), np.int64)
    numbers = np.empty((num_batches, batch, NUM_NUMBERS), np.float32)
    labels = np.empty((num_batches, batch), np.float32)
    for i in range(num_batches):
        # Uniform 64-bit values modulo the rows: what hashing of any value gives.
        raw = rng.integers(2**63, size=ids.shape[1:], dtype=np.uint64)
        ids[i] = raw % np.uint64(rows)
        numbers[i] = rng.standard_normal(numbers.shape[1:])
        effects = (ids[i].astype(np.uint64) * factors % np.uint64(2**32)) / 2**32 - 0.5
        logits = 0.8 * effects.sum(axis=1) + numbers[i] @ weights - 1.0
        labels[i] = rng.random(batch) < 1 / (1 + np.exp(-logits))
    arrays = {"ids": ids, "numbers": numbers, "labels": labels}
    if history:
        ids[..., 0] = 1 + ids[..., 0] % (rows - 1)
        arrays |= _make_histories(rng, rows, (num_batches, batch, history))
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, **arrays)
    temporary.replace(path)
    return path


def make_tfrecords(source: Path, rows: int) -> Path:
    """Writes the batches as TFRecord files, unless they are there; their folder."""
    import tempfile

    import pyarrow as pa
    import pyarrow.parquet as pq

    import keras_recs

    folder = source.with_suffix(".tfrecords")
    if folder.exists():
        return folder
    with np.load(source) as file:
        ids = file["ids"].reshape(-1, _FEATURES)
        numbers = file["numbers"].reshape(-1, NUM_NUMBERS)
        labels = file["labels"].reshape(-1).astype(np.int64)
    columns = {f"C{i}": ids[:, i] for i in range(_FEATURES)}
    columns |= {f"I{i}": numbers[:, i] for i in range(NUM_NUMBERS)}
    schema = keras_recs.Schema(
        [
            *(
                keras_recs.CategoricalFeature(f"C{i}", vocabulary_size=rows)
                for i in range(_FEATURES)
            ),
            *(keras_recs.NumericFeature(f"I{i}") for i in range(NUM_NUMBERS)),
        ],
        [keras_recs.Label("click")],
    )
    with tempfile.TemporaryDirectory(dir=source.parent) as temporary:
        raw = Path(temporary) / "raw.parquet"
        pq.write_table(pa.table(columns | {"click": labels}), raw)
        target = Path(temporary) / "files"
        target.mkdir()
        keras_recs.data.write_tfrecords(str(raw), schema, f"{target}/train")
        target.rename(folder)
    return folder


def _make_histories(rng, rows, shape):
    lengths = rng.integers(1, shape[-1] + 1, size=shape[:-1])  # (N, B)
    is_there = np.arange(shape[-1]) < lengths[..., None]  # (N, B, T)
    return {
        "history": rng.integers(1, rows, size=shape) * is_there,
        "negatives": rng.integers(1, rows, size=shape) * is_there,
        "lengths": lengths,
    }
