"""TFRecords in chunks: each record once, the same order in each process, damage named."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_recs import CategoricalFeature, Label, Schema, preprocessing
from keras_recs.data import DownSampleNegatives, tfrecord_dataset, write_tfrecords

ROWS, BATCH = 150, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    log = folder / "log.csv"
    rows = "".join(f"{row},{row % 2}\n" for row in range(ROWS))
    log.write_text("row,click\n" + rows)
    return folder


@pytest.fixture(scope="module")
def schema(folder):
    schema = Schema(
        features=[CategoricalFeature("row", vocabulary_size=ROWS)],
        labels=[Label("click")],
    )
    schema = preprocessing.fit(schema, folder / "log.csv", folder / "vocabularies")
    write_tfrecords(folder / "log.csv", schema, folder / "train", num_shards=3)
    return schema


def source_of(folder, schema, **options):
    data = tfrecord_dataset(str(folder / "train-*.tfrecord"), schema, BATCH, **options)
    return data.record_source


def rows_of(source, number, chunk, epoch=0):
    """Rows of a chunk, batch by batch."""
    records = source.records(
        tf.constant(chunk.path),
        tf.constant(chunk.compression),
        *(tf.constant(n, tf.int64) for n in (chunk.first, chunk.num_records)),
        tf.constant(epoch, tf.int64),
        tf.constant(number, tf.int64),
    )
    batches = source.batches(records, source.batch_function())
    return [batch[0]["row"].numpy().tolist() for batch in batches]


@pytest.mark.parametrize("num_workers", [1, 2, 50])
@pytest.mark.parametrize("shuffle", [False, True])
def test_each_record_is_in_one_chunk(num_workers, shuffle, folder, schema):
    source = source_of(folder, schema, shuffle=shuffle)
    chunks = source.chunks(num_workers)
    assert chunks == source.chunks(num_workers)
    batches = [rows_of(source, n, chunk) for n, chunk in enumerate(chunks)]
    assert [len(b) for b in batches] == [chunk.num_steps for chunk in chunks]
    rows = [row for chunk in batches for batch in chunk for row in batch]
    assert sorted(rows) == list(range(2, ROWS + 2))
    assert (rows == sorted(rows)) or shuffle
    again = [rows_of(source, n, chunk) for n, chunk in enumerate(chunks)]
    assert batches == again
    if shuffle:
        other = [rows_of(source, n, chunk, 1) for n, chunk in enumerate(chunks)]
        assert batches != other


def test_small_batches_may_be_left_out(folder, schema):
    source = source_of(folder, schema, drop_remainder=True)
    chunks = source.chunks(1)
    steps = sum(chunk.num_steps for chunk in chunks)
    assert steps == 3 * (ROWS // 3 // BATCH)
    sizes = {
        len(b) for n, chunk in enumerate(chunks) for b in rows_of(source, n, chunk)
    }
    assert sizes == {BATCH}


def test_few_chunks_are_said(folder, schema, caplog):
    data = tfrecord_dataset(str(folder / "train-00000*"), schema, 50)
    assert len(data.record_source.chunks(2)) == 1
    assert "The data make 1 chunks for 2 workers" in caplog.text


def test_what_is_wrong_is_named(folder, schema, tmp_path):
    sampled = source_of(
        folder, schema, down_sampling=DownSampleNegatives(rate=0.5, label="click")
    )
    with pytest.raises(ValueError, match="Received: down_sampling=DownSampleNegatives"):
        sampled.chunks(1)
    source = source_of(folder, schema, shuffle=False)
    chunks = source.chunks(1)
    whole = tmp_path / "cut.tfrecord"
    content = Path(chunks[0].path).read_bytes()
    for size in (0, len(content) // 2, len(content) - 1):
        whole.write_bytes(content[:size])
        damaged = [
            type(chunk)(str(whole), "", chunk.first, chunk.num_records, chunk.num_steps)
            for chunk in chunks
            if chunk.path == chunks[0].path
        ]
        with pytest.raises(tf.errors.InvalidArgumentError, match="Damaged TFRecord"):
            for number, chunk in enumerate(damaged):
                rows_of(source, number, chunk)
    whole.unlink()
    with pytest.raises(tf.errors.NotFoundError, match=r"cut\.tfrecord"):
        rows_of(source, 0, damaged[0])
    assert np.sum([chunk.num_records for chunk in chunks]) == ROWS
