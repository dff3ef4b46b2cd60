"""Parquet files to batches, beside the same rows in memory."""

import importlib
import itertools
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keras_recs import CategoricalFeature, Label, MultiValuedFeature, Schema
from keras_recs.data import array_dataset
from keras_recs.interop import parquet_dataset
from tests import samples

pytestmark = pytest.mark.io

NUM_ROWS = 20


@pytest.fixture(scope="module")
def click_table(click_columns):
    """The click log as tensorflow-io can read it: no nulls, no lists."""
    columns = {}
    for name, values in click_columns.items():
        if name in ("genres", "history"):
            values = ["|".join(items) for items in values]
        missing = {"item": "", "hour": -1}.get(name, float("nan"))
        columns[name] = [missing if value is None else value for value in values]
    return pa.table(columns)


@pytest.fixture
def number_schema():
    """A schema in which each row has a label of its own."""
    return Schema(
        features=[CategoricalFeature("x", vocabulary_size=100)],
        labels=[Label("number", task="regression")],
        group_key="x",
    )


@pytest.fixture
def number_files(tmp_path):
    """Rows 0 … 19 in three files of several row groups."""
    table = pa.table({"x": np.arange(NUM_ROWS), "number": np.arange(NUM_ROWS) * 1.0})
    for i, (start, stop) in enumerate([(0, 9), (9, 10), (10, 20)]):
        part = table.slice(start, stop - start)
        pq.write_table(part, tmp_path / f"{i}.parquet", row_group_size=4)
    return tmp_path / "*.parquet"


def numbers(dataset):
    rows = []
    for inputs, labels in dataset:
        label = labels["number"].numpy()[:, 0]
        # Identity: padding and out of vocabulary come before the ids.
        np.testing.assert_array_equal(inputs["x"], label + 2)
        rows.append(label.astype(int).tolist())
    return rows


@pytest.mark.parametrize(
    ("with_group", "drop_remainder"), [(False, False), (True, True)]
)
def test_as_in_memory(
    with_group,
    drop_remainder,
    click_table,
    click_columns,
    click_schema,
    tmp_path,
    assert_same_batches,
):
    paths = [tmp_path / name for name in ("b.parquet", "a.parquet")]
    pq.write_table(click_table.slice(0, 31), paths[0], row_group_size=7)
    pq.write_table(click_table.slice(31), paths[1], compression="zstd")
    options = {
        "shuffle": False,
        "drop_remainder": drop_remainder,
        "with_group": with_group,
    }
    dataset = parquet_dataset(paths, click_schema, 10, **options)
    expected = array_dataset(click_columns, click_schema, 10, **options)
    assert_same_batches(dataset, expected)
    assert dataset.cardinality() == (5 if drop_remainder else 6)


@pytest.mark.parametrize(
    ("values", "feature"),
    [
        (pa.array([5, 300, -1], pa.int32()), CategoricalFeature("c", hash_bins=99)),
        (pa.array([5, 2**62, -1]), CategoricalFeature("c", hash_bins=99)),
        (pa.array([5, 2**63 + 5], pa.uint64()), CategoricalFeature("c", hash_bins=99)),
        (pa.array([5, 2**31 + 5], pa.uint32()), CategoricalFeature("c", hash_bins=99)),
        (pa.array([True, False]), CategoricalFeature("c", hash_bins=99)),
        (pa.array(["ü", ""]).dictionary_encode(), CategoricalFeature("c", hash_bins=9)),
        (pa.array([b"\xff", b"\0"]), CategoricalFeature("c", hash_bins=99)),
        (pa.array([5, 3], pa.int8()), CategoricalFeature("c", vocabulary_size=9)),
        (pa.array(["1|2", "", "8"]), MultiValuedFeature("c", vocabulary_size=9)),
    ],
)
def test_types(values, feature, tmp_path, assert_same_batches):
    schema = Schema(features=[feature], labels=[Label("click")])
    label = pa.array(np.arange(len(values)) % 2)  # integers
    table = pa.table({"c": values, "click": label, "unread": [[None]] * len(values)})
    # Booleans of the newer pages are refused.
    page = "1.0" if pa.types.is_boolean(values.type) else "2.0"
    pq.write_table(table, tmp_path / "t.parquet", data_page_version=page)
    columns = {"c": values.to_pylist(), "click": label.to_numpy()}
    if pa.types.is_integer(values.type):
        columns["c"] = values.to_numpy()
    assert_same_batches(
        parquet_dataset(tmp_path / "t.parquet", schema, 2, shuffle=False),
        array_dataset(columns, schema, 2, shuffle=False),
    )


def test_blocks_and_pages(number_schema, tmp_path, monkeypatch):
    """Blocks that start inside of row groups and pages."""
    count = 5_000
    text = [f"{row}" * (row % 7) for row in range(count)]
    schema = Schema(
        features=[CategoricalFeature("x", hash_bins=10**9)],
        labels=[Label("number", task="regression")],
        group_key="x",
    )
    table = pa.table({"x": text, "number": np.arange(count, dtype="float64")})
    pq.write_table(
        table,
        tmp_path / "t.parquet",
        row_group_size=2_100,
        data_page_size=300,
        dictionary_pagesize_limit=2_000,
    )
    module = importlib.import_module("keras_recs.interop.parquet_dataset")
    monkeypatch.setattr(module, "_BLOCK", 999)
    present = [row for row in range(count) if text[row]]
    table = table.take(present)
    pq.write_table(
        table, tmp_path / "t.parquet", row_group_size=2_100, data_page_size=300
    )
    dataset = parquet_dataset(
        tmp_path / "t.parquet", schema, 64, shuffle=False, with_group=True
    )
    labels, groups = [], []
    for batch in dataset:
        labels += batch[1]["number"].numpy()[:, 0].astype(int).tolist()
        groups += batch[3].numpy().tolist()
    assert labels == present
    assert groups == [text[row].encode() for row in present]


@pytest.mark.parametrize(("block", "window"), [(32_768, 4), (3, 1)])
def test_shuffle(block, window, number_schema, number_files, monkeypatch):
    module = importlib.import_module("keras_recs.interop.parquet_dataset")
    monkeypatch.setattr(module, "_BLOCK", block)
    monkeypatch.setattr(module, "_SHUFFLE_BLOCKS", window)
    monkeypatch.setattr(module, "_SHUFFLE_BATCHES", 1)

    def make(**options):
        return parquet_dataset(number_files, number_schema, 6, **options)

    dataset = make(seed=3)
    first, second = numbers(dataset), numbers(dataset)
    for epoch in (first, second):
        assert [len(batch) for batch in epoch] == [6, 6, 6, 2]
        assert sorted(itertools.chain(*epoch)) == list(range(NUM_ROWS))
    assert first != second != numbers(make(shuffle=False))
    again = make(seed=3)
    assert (numbers(again), numbers(again)) == (first, second)
    assert numbers(make(seed=4)) != first
    assert numbers(make(seed=3).repeat(2)) == first + second


def test_a_replaced_file_is_read_anew(number_schema, tmp_path):
    path = tmp_path / "t.parquet"

    def write(start):
        values = np.arange(start, start + 5)
        pq.write_table(pa.table({"x": values, "number": values * 1.0}), f"{path}.new")
        os.replace(f"{path}.new", path)
        return values.tolist()

    datasets = []  # alive, as in a notebook
    for start in (0, 10, 50):
        values = write(start)
        datasets.append(parquet_dataset(path, number_schema, 8, shuffle=False))
        assert numbers(datasets[-1]) == numbers(datasets[-1]) == [values]
    import tensorflow as tf

    with pytest.raises(tf.errors.OpError, match=r"t\.parquet' has changed since the"):
        numbers(datasets[0])


def test_missing_label(number_schema, tmp_path):
    import tensorflow as tf

    table = pa.table({"x": [1, 2], "number": [1.0, float("nan")]})
    pq.write_table(table, tmp_path / "t.parquet")
    dataset = parquet_dataset(tmp_path / "t.parquet", number_schema, 2)
    message = r"(?s)Column number must have a value in every row.*t\.parquet"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(dataset)


def test_no_rows(number_schema, number_files, tmp_path):
    (tmp_path / "empty").mkdir()
    path = tmp_path / "empty" / "none.parquet"
    empty = pa.table({"x": pa.array([], "int64"), "number": pa.array([], "double")})
    pq.write_table(empty, path)
    for shuffle in (False, True):
        dataset = parquet_dataset(path, number_schema, 4, shuffle=shuffle)
        assert dataset.cardinality() == len(list(dataset)) == 0
        files = [path, number_files]
        dataset = parquet_dataset(files, number_schema, 4, shuffle=shuffle)
        assert sum(map(len, numbers(dataset))) == NUM_ROWS


def test_refusals(number_schema, tmp_path):
    """Before anything is read; all reasons are in `test_parquet_source`."""
    path = tmp_path / "nulls.parquet"
    pq.write_table(pa.table({"x": [1, None], "number": [1.0, 2.0]}), path)
    with pytest.raises(ValueError, match=r"nulls\.parquet': column 'x' has 1 nulls"):
        parquet_dataset(path, number_schema, 8)
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"x": [1], "number": [1.0]}), path)
    pq.write_table(pa.table({"x": pa.array([1], "int32"), "number": [1.0]}), other)
    message = r"'number|'x' is int64 in .*nulls\.parquet' and int32 in .*other\.parquet"
    with pytest.raises(ValueError, match=message):
        parquet_dataset([path, other], number_schema, 8)


def test_arguments(number_schema, number_files):
    with pytest.raises(ValueError, match=r"`batch_size` must be .*batch_size=0"):
        parquet_dataset(number_files, number_schema, 0)
    with pytest.raises(ValueError, match="parquet_dataset needs a fitted schema"):
        parquet_dataset(number_files, samples.unfitted_schema(), 8)
    schema = Schema(features=number_schema.features)
    with pytest.raises(ValueError, match="`with_group=True` needs a schema with a"):
        parquet_dataset(number_files, schema, 8, with_group=True)


def test_why_nulls_are_refused(tmp_path):
    """tensorflow-io shifts the values; if it no longer does, they can be allowed."""
    import tensorflow_io as tfio

    path = str(tmp_path / "t.parquet")
    pq.write_table(pa.table({"x": [1, None, 3, 4]}), path)
    values = [
        row.numpy() for row in tfio.IOTensor.from_parquet(path)("x").to_tensor()[:2]
    ]
    assert values == [1, 3]


def test_fit(click_table, click_schema, tmp_path):
    from keras_recs.models import deepfm

    pq.write_table(click_table, tmp_path / "t.parquet")
    model = deepfm(click_schema, embedding_dim=4, hidden_units=(8,))
    model.compile("adam", {"click": "binary_crossentropy", "rating": "mse"})
    dataset = parquet_dataset(tmp_path / "t.parquet", click_schema, 16)
    history = model.fit(dataset, epochs=2, shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"]).all()
