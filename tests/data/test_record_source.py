"""TFRecords in chunks: each record once, the same order in each process, damage named."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_recs import CategoricalFeature, Label, Schema, preprocessing
from keras_recs.data import DownSampleNegatives, tfrecord_dataset, write_tfrecords

ROWS, BATCH = 60, 4


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


def reader_of(source):
    """Rows of a chunk, with −1 behind each batch; traced once, as in a worker."""
    to_batch = source.batch_function()

    @tf.function
    def read(*chunk):
        batches = source.batches(source.records(*chunk), to_batch)
        return batches.reduce(
            tf.zeros(0, tf.int64),
            lambda rows, batch: tf.concat(
                [rows, tf.cast(batch[0]["row"], tf.int64), [-1]], 0
            ),
        )

    return read


def rows_of(read, number, chunk, epoch=0, done=0):
    """Rows of a chunk, batch by batch."""
    numbers = (chunk.first, chunk.num_records, epoch, number, done)
    rows = read(
        tf.constant(chunk.path),
        tf.constant(chunk.compression),
        *(tf.constant(n, tf.int64) for n in numbers),
    ).numpy()
    ends = np.flatnonzero(rows == -1)
    return [part[part >= 0].tolist() for part in np.split(rows, ends + 1)[:-1]]


@pytest.mark.parametrize(
    ("num_workers", "shuffle"),
    [
        (2, False),
        (50, True),
        *(
            pytest.param(*case, marks=pytest.mark.large)
            for case in ((1, False), (1, True), (2, True), (50, False))
        ),
    ],
)
def test_each_record_is_in_one_chunk(num_workers, shuffle, folder, schema):
    source = source_of(folder, schema, shuffle=shuffle)
    read, chunks = reader_of(source), source.chunks(num_workers)
    assert chunks == source.chunks(num_workers)
    batches = [rows_of(read, n, chunk) for n, chunk in enumerate(chunks)]
    assert [len(b) for b in batches] == [chunk.num_steps for chunk in chunks]
    rows = [row for chunk in batches for batch in chunk for row in batch]
    assert sorted(rows) == list(range(2, ROWS + 2))
    assert (rows == sorted(rows)) or shuffle
    again = [rows_of(read, n, chunk) for n, chunk in enumerate(chunks)]
    assert batches == again
    if shuffle:
        other = [rows_of(read, n, chunk, 1) for n, chunk in enumerate(chunks)]
        assert batches != other


@pytest.mark.parametrize(
    ("shuffle", "shuffle_buffer"),
    [
        (True, 5),
        (True, 64),
        (False, 8),
        *(
            pytest.param(*case, marks=pytest.mark.large)
            for case in ((True, 8), (False, 5), (False, 64))
        ),
    ],
)
def test_a_chunk_goes_on_at_any_batch(shuffle, shuffle_buffer, folder, schema):
    options = {"shuffle": shuffle, "shuffle_buffer": shuffle_buffer}
    source = source_of(folder, schema, **options)
    read, chunks = reader_of(source), source.chunks(1)
    for number in (0, len(chunks) - 1):
        whole = rows_of(read, number, chunks[number], 2)
        for done in range(len(whole) + 1):
            rest = rows_of(read, number, chunks[number], 2, done)
            assert rest == whole[done:], done


def test_data_are_known_again(folder, schema):
    known = source_of(folder, schema).fingerprint()
    assert known == source_of(folder, schema).fingerprint()
    for options in ({"seed": 1}, {"shuffle": False}, {"drop_remainder": True}):
        assert source_of(folder, schema, **options).fingerprint() != known
    fewer = tfrecord_dataset(str(folder / "train-00000*"), schema, BATCH)
    assert fewer.record_source.fingerprint() != known


def test_small_batches_may_be_left_out(folder, schema):
    source = source_of(folder, schema, drop_remainder=True)
    read, chunks = reader_of(source), source.chunks(1)
    steps = sum(chunk.num_steps for chunk in chunks)
    assert steps == 3 * (ROWS // 3 // BATCH)
    sizes = {len(b) for n, chunk in enumerate(chunks) for b in rows_of(read, n, chunk)}
    assert sizes == {BATCH}


def test_few_chunks_are_said(folder, schema, caplog):
    data = tfrecord_dataset(str(folder / "train-00000*"), schema, 50)
    assert len(data.record_source.chunks(2)) == 1
    data.record_source.tell_shares(2)
    assert "The data make 1 chunks for 2 workers" in caplog.text


def test_what_is_wrong_is_named(folder, schema, tmp_path):
    sampled = source_of(
        folder, schema, down_sampling=DownSampleNegatives(rate=0.5, label="click")
    )
    with pytest.raises(ValueError, match="Received: down_sampling=DownSampleNegatives"):
        sampled.chunks(1)
    source = source_of(folder, schema, shuffle=False)
    read, chunks = reader_of(source), source.chunks(1)
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
                rows_of(read, number, chunk)
    whole.unlink()
    with pytest.raises(tf.errors.NotFoundError, match=r"cut\.tfrecord"):
        rows_of(read, 0, damaged[0])
    assert np.sum([chunk.num_records for chunk in chunks]) == ROWS
