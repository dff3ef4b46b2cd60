"""TFRecords to batches: order, shards, damage."""

import itertools
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_recs import CategoricalFeature, Label, Schema
from keras_recs.data import array_dataset, tfrecord_dataset
from tests import samples

# Each example has a number of its own, so that it can be followed.
SCHEMA = Schema(
    features=[CategoricalFeature("x", vocabulary_size=10_000)],
    labels=[Label("number", task="regression")],
    group_key="x",
)


def write_numbers(folder, counts, suffix=""):
    """Files of consecutive numbers, `counts` in each."""
    paths, start = [], 0
    for number, count in enumerate(counts):
        records = [
            samples.example({"x": i, "number": float(i)})
            for i in range(start, start + count)
        ]
        path = folder / f"train-{number:02}.tfrecord{suffix}"
        paths.append(samples.write_records(path, records))
        start += count
    return paths


def numbers(dataset):
    return [int(n) for batch in dataset for n in batch[1]["number"].numpy()[:, 0]]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Four files of 40, 7, 0 and 25 records."""
    return write_numbers(tmp_path_factory.mktemp("records"), [40, 7, 0, 25])


# === The same data as in memory ===


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_batches_are_those_of_the_columns(click_schema, tmp_path, suffix):
    columns = samples.click_columns(90)
    for part in range(3):
        rows = samples.rows_of(columns, 30 * part, 30 * part + 30)
        records = [samples.example(row) for row in rows]
        samples.write_records(tmp_path / f"train-{part}.tfrecord{suffix}", records)
    options = {"shuffle": False, "with_group": True}
    records = tfrecord_dataset(
        tmp_path / f"train-*{suffix}", click_schema, 16, **options
    )
    arrays = array_dataset(columns, click_schema, 16, **options)
    assert records.cardinality() == arrays.cardinality() == 6
    # Multi-valued features are as wide as the longest of the batch or of all.
    for left, right in itertools.zip_longest(records, arrays):
        assert len(left) == len(right) == 4
        for a, b in zip(left[:3], right[:3]):
            assert list(a) == list(b)
            for name in a:
                assert a[name].dtype == b[name].dtype
                wide = b[name].numpy()
                if name == "genres":
                    width = a[name].shape[1]
                    assert (wide[:, width:] == 0).all()
                    wide = wide[:, :width]
                np.testing.assert_array_equal(a[name], wide, name)
        assert left[3].numpy().tolist() == right[3].numpy().tolist()


def test_the_type_of_a_batch_does_not_depend_on_the_source(click_schema, tmp_path):
    columns = samples.click_columns(8)
    path = samples.write_records(
        tmp_path / "x.tfrecord", map(samples.example, samples.rows_of(columns))
    )
    left = tfrecord_dataset(path, click_schema, 4).element_spec
    right = array_dataset(columns, click_schema, 4).element_spec
    tf.nest.assert_same_structure(left, right)
    for a, b in zip(tf.nest.flatten(left), tf.nest.flatten(right)):
        assert a.dtype == b.dtype
        assert a.shape.rank == b.shape.rank


# === Order ===


def test_without_shuffling_the_order_is_that_of_the_files(files):
    dataset = tfrecord_dataset(files, SCHEMA, 10, shuffle=False)
    assert dataset.cardinality() == 8
    for _ in range(2):
        assert numbers(dataset) == list(range(72))
    assert [len(b[0]["x"]) for b in dataset] == [10] * 7 + [2]


def test_drop_remainder(files):
    dataset = tfrecord_dataset(files, SCHEMA, 10, shuffle=False, drop_remainder=True)
    assert dataset.cardinality() == 7
    assert numbers(dataset) == list(range(70))


@pytest.mark.parametrize("shuffle_buffer", [None, 5])
def test_the_order_is_another_in_each_epoch_and_the_seeds(files, shuffle_buffer):
    def epochs(seed):
        dataset = tfrecord_dataset(
            files, SCHEMA, 10, seed=seed, shuffle_buffer=shuffle_buffer
        )
        return [numbers(dataset) for _ in range(3)]

    first = epochs(3)
    assert first == epochs(3), "the same seed must give the same epochs"
    assert first != epochs(4)
    assert len({tuple(epoch) for epoch in first}) == 3, "epochs must differ"
    assert all(sorted(epoch) == list(range(72)) for epoch in first)
    assert all(epoch != sorted(epoch) for epoch in first)


def test_files_are_mixed(tmp_path):
    """A small buffer alone would keep the first file's records first."""
    files = write_numbers(tmp_path, [300] * 4)
    order = numbers(tfrecord_dataset(files, SCHEMA, 10, shuffle_buffer=2))
    first_files = {number // 300 for number in order[:600]}
    assert len(first_files) > 1
    assert sorted(order) == list(range(1200))


def test_files_are_read_in_another_order_in_each_epoch(tmp_path):
    files = write_numbers(tmp_path, [3] * 12)
    dataset = tfrecord_dataset(files, SCHEMA, 36, shuffle_buffer=1)
    first = [numbers(dataset)[0] // 3 for _ in range(6)]
    assert len(set(first)) > 1


# === Shards ===


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    "num_workers", [2, pytest.param(4, marks=pytest.mark.large), 6]
)
def test_workers_cover_each_example_once(files, num_workers, shuffle):
    """Files ≥ workers: own files; files < workers: own records. In every epoch."""
    datasets = [
        tfrecord_dataset(
            files, SCHEMA, 4, shuffle=shuffle, num_workers=num_workers, worker_index=i
        )
        for i in range(num_workers)
    ]
    for _ in range(1 + shuffle):
        parts = [numbers(dataset) for dataset in datasets]
        assert sorted(itertools.chain(*parts)) == list(range(72))
    for dataset, part in zip(datasets, parts):
        assert dataset.cardinality() == math.ceil(len(part) / 4)


def test_own_files_are_balanced(tmp_path):
    files = write_numbers(tmp_path, [50, 10, 20, 20])
    parts = [
        numbers(tfrecord_dataset(files, SCHEMA, 4, num_workers=2, worker_index=i))
        for i in range(2)
    ]
    assert sorted(map(len, parts)) == [50, 50]


def test_workers_of_empty_files_get_nothing(tmp_path):
    files = write_numbers(tmp_path, [0, 0, 3])
    parts = [
        numbers(tfrecord_dataset(files, SCHEMA, 4, num_workers=3, worker_index=i))
        for i in range(3)
    ]
    assert sorted(map(len, parts)) == [0, 0, 3]
    files = write_numbers(tmp_path, [0, 0])
    for i in range(2):
        dataset = tfrecord_dataset(files, SCHEMA, 4, num_workers=2, worker_index=i)
        assert numbers(dataset) == []


# === Damage ===


def damaged(files, place, tmp_path):
    """A copy of the first file with one record damaged; path and offset of it."""
    path = tmp_path / "train-00.tfrecord"
    path.write_bytes(Path(files[0]).read_bytes())
    offsets = samples.record_offsets(path)
    record = {"first": 0, "middle": 17, "last": 39}[place]
    return path, offsets[record], record


BYTES = {"length checksum": 8, "data": 12, "data checksum": -1}
PLACES = ("first", "middle", "last")


@pytest.mark.parametrize(
    ("place", "byte"),
    [
        pytest.param(
            place,
            byte,
            id=f"{place}-{name}",
            # One of each kind, one at each place.
            marks=[] if i == k else pytest.mark.large,
        )
        for i, place in enumerate(PLACES)
        for k, (name, byte) in enumerate(BYTES.items())
    ],
)
def test_a_damaged_record_fails_and_names_file_and_offset(files, tmp_path, place, byte):
    path, offset, record = damaged(files, place, tmp_path)
    ends = [*samples.record_offsets(path), path.stat().st_size]
    samples.flip_bit(path, ends[record + 1] - 1 if byte == -1 else offset + byte)
    dataset = tfrecord_dataset([path, files[1]], SCHEMA, 10, shuffle=False)
    message = rf"\[Damaged TFRecord file\] \[{path}\] \[at byte\] \[{offset}\] \[after record\] \[{record}\] \[of\] \[40\].*skip_file"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        numbers(dataset)
    with pytest.raises(tf.errors.InvalidArgumentError, match=str(path)):
        numbers(tfrecord_dataset([path, files[1]], SCHEMA, 10))


def test_what_comes_before_the_damage_is_read(files, tmp_path):
    path, offset, _ = damaged(files, "middle", tmp_path)
    samples.flip_bit(path, offset + 12)
    found = []
    with pytest.raises(tf.errors.InvalidArgumentError):
        for batch in tfrecord_dataset(path, SCHEMA, 1, shuffle=False):
            found += numbers([batch])
    assert found == list(range(len(found)))


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("kind", ["length", "cut"])
def test_wrong_lengths_fail_before_training(files, tmp_path, place, kind):
    path, offset, record = damaged(files, place, tmp_path)
    if kind == "length":
        samples.flip_bit(path, offset + 1)  # 4096 bytes more
    else:
        with open(path, "r+b") as file:
            file.truncate(offset + 20)
    message = rf"Damaged TFRecord file '{path}': the record at byte {offset} \(number {record}\) is cut off"
    with pytest.raises(ValueError, match=message):
        tfrecord_dataset(path, SCHEMA, 10)


@pytest.mark.parametrize("kind", ["data", "length", "cut", "no TFRecords"])
def test_skip_file_counts_and_warns(files, tmp_path, caplog, kind):
    path, offset, _ = damaged(files, "middle", tmp_path)
    if kind == "cut":
        with open(path, "r+b") as file:
            file.truncate(offset + 20)
    elif kind == "no TFRecords":
        path.write_text("user,item\nann,1\n" * 9)
    else:
        samples.flip_bit(path, offset + (12 if kind == "data" else 1))
    with caplog.at_level(logging.WARNING):
        dataset = tfrecord_dataset(
            [path, *files[1:]], SCHEMA, 10, shuffle=False, on_damage="skip_file"
        )
    assert str(path) in caplog.text
    assert "1 of 4 TFRecord files are skipped" in caplog.text
    assert numbers(dataset) == list(range(40, 72))
    assert dataset.cardinality() == 4
    with pytest.raises(ValueError, match="All 1 TFRecord files are damaged"):
        tfrecord_dataset(path, SCHEMA, 10, on_damage="skip_file")


def test_skip_file_says_nothing_of_healthy_files(files, caplog):
    tfrecord_dataset(files, SCHEMA, 10, on_damage="skip_file")
    assert caplog.text == ""


def test_a_damaged_gzip_file(tmp_path):
    (path,) = write_numbers(tmp_path, [200], ".gz")
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ValueError, match=f"Damaged TFRecord file '{path}' after record"
    ):
        tfrecord_dataset(path, SCHEMA, 10)


def test_an_empty_file_is_no_error(tmp_path):
    (path,) = write_numbers(tmp_path, [0])
    for shuffle in (False, True):
        dataset = tfrecord_dataset(path, SCHEMA, 10, shuffle=shuffle)
        assert dataset.cardinality() == 0
        assert numbers(dataset) == []


def test_a_record_that_is_no_example(tmp_path):
    path = samples.write_records(tmp_path / "x.tfrecord", [b"not an example"])
    with pytest.raises(tf.errors.InvalidArgumentError):
        numbers(tfrecord_dataset(path, SCHEMA, 10))


# === Arguments ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be a positive integer.*batch_size=0"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"on_damage": "ignore"}, "`on_damage` must be 'fail' or .*on_damage='ignore'"),
        ({"num_workers": 2, "worker_index": 2}, "worker_index=2, num_workers=2"),
        ({"num_workers": 0}, "`worker_index` must be .* num_workers=0"),
        ({"worker_index": -1}, "worker_index=-1"),
        ({"shuffle_buffer": 0}, "`shuffle_buffer` must be .*shuffle_buffer=0"),
        ({"files": "gone-*"}, "'gone-.', which matches no file"),
        ({"files": []}, "`files` must name at least one TFRecord file"),
        (
            {"schema": samples.unfitted_schema()},
            "tfrecord_dataset needs a fitted schema",
        ),
    ],
)
def test_messages(files, arguments, message):
    arguments = {"files": files, "schema": SCHEMA, "batch_size": 4, **arguments}
    with pytest.raises(ValueError, match=message):
        tfrecord_dataset(**arguments)


def test_a_group_needs_a_group_key(files):
    schema = Schema(features=SCHEMA.features, labels=SCHEMA.labels)
    with pytest.raises(
        ValueError, match="`with_group=True` needs a schema with a group"
    ):
        tfrecord_dataset(files, schema, 4, with_group=True)


# === Names ===


def test_a_column_that_no_record_has_is_a_warning(files, caplog):
    schema = Schema(
        features=[*SCHEMA.features, CategoricalFeature("misspelt", hash_bins=3)],
        labels=SCHEMA.labels,
    )
    with caplog.at_level(logging.WARNING):
        tfrecord_dataset(files, SCHEMA, 8)
        assert not caplog.records
        tfrecord_dataset(files, schema, 8)
    assert "['misspelt']" in caplog.text
    assert "['number', 'x']" in caplog.text
    assert str(files[0]) in caplog.text
