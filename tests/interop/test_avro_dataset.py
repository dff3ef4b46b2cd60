"""Avro files to batches, beside the same rows in memory."""

import itertools

import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, MultiValuedFeature, Schema
from keras_recs.data import array_dataset
from keras_recs.interop import avro_dataset
from tests import samples

fastavro = pytest.importorskip("fastavro")
pytestmark = pytest.mark.io

STRINGS = {"type": "array", "items": "string"}
CLICK_TYPES = {
    "unread": ["null", {"type": "map", "values": STRINGS}],
    "user": "string",
    "item": ["null", "string"],
    "genres": STRINGS,
    "history": STRINGS,
    "hour": ["int", "null"],
    "price": ["null", "double"],
    "age": ["float", "null"],
    "click": "double",
    "rating": ["null", "double"],
    "weight": "float",
    "time": {"type": "long", "logicalType": "timestamp-millis"},
}
NUM_ROWS = 20


def write(path, types, rows, name="Row", **options):
    fields = [{"name": key, "type": form} for key, form in types.items()]
    schema = {"type": "record", "name": name, "fields": fields}
    with open(path, "wb") as file:
        fastavro.writer(file, schema, rows, sync_interval=200, **options)
    return path


@pytest.fixture
def number_schema():
    """A schema in which each row has a label of its own."""
    return Schema(
        features=[
            CategoricalFeature("x", vocabulary_size=100),
            MultiValuedFeature("set", vocabulary_size=100),
        ],
        labels=[Label("number", task="regression")],
        group_key="x",
    )


@pytest.fixture
def number_files(tmp_path):
    """Rows 0 … 19 in three files; row i has the set of i % 3 times i."""
    types = {"number": "double", "set": {"type": "array", "items": "int"}, "x": "long"}
    for i, (start, stop) in enumerate([(0, 9), (9, 10), (10, 20)]):
        rows = [{"x": j, "number": j, "set": [j] * (j % 3)} for j in range(start, stop)]
        write(tmp_path / f"{i}.avro", types, rows)
    return tmp_path / "*.avro"


def numbers(dataset):
    rows = []
    for inputs, labels in dataset:
        label = labels["number"].numpy()[:, 0].astype(int)
        # Identity: padding and out of vocabulary come before the ids.
        np.testing.assert_array_equal(inputs["x"], label + 2)
        for number, row in zip(label, inputs["set"].numpy()):
            assert row[row != 0].tolist() == [number + 2] * (number % 3)
        rows.append(label.tolist())
    return rows


@pytest.mark.parametrize(
    ("lists", "with_group", "drop_remainder", "codec"),
    [
        ("array", True, False, "deflate"),
        ("text", False, True, "null"),
    ],
)
def test_as_in_memory(
    lists,
    with_group,
    drop_remainder,
    codec,
    click_columns,
    click_schema,
    tmp_path,
    assert_same_batches,
):
    rows = [{"unread": None, **row} for row in samples.rows_of(click_columns)]
    types = dict(CLICK_TYPES)
    if lists == "text":
        types |= {"genres": ["string", "null"], "history": "string"}
        for row in rows:
            row["genres"] = "|".join(row["genres"]) or None
            row["history"] = "|".join(row["history"])
    paths = [tmp_path / "b.avro", tmp_path / "a.avro"]
    write(paths[0], types, rows[:31], codec=codec)
    # Another name, order and width of the same fields.
    types |= {"unread": "null", "hour": "long", "price": "float", "click": "float"}
    for row in rows[31:]:
        row["hour"] = -1 if row["hour"] is None else row["hour"]
        row["price"] = float("nan") if row["price"] is None else row["price"]
    types = dict(sorted(types.items()))
    write(paths[1], types, rows[31:], name="a.b.Other", codec=codec)
    options = {
        "shuffle": False,
        "drop_remainder": drop_remainder,
        "with_group": with_group,
    }
    dataset = avro_dataset(paths, click_schema, 10, **options)
    expected = array_dataset(click_columns, click_schema, 10, **options)
    assert_same_batches(dataset, expected)
    assert dataset.cardinality() == (5 if drop_remainder else 6)


STRING = CategoricalFeature("c", hash_bins=10**6)
INTEGER = CategoricalFeature("c", vocabulary_size=9)
SET = MultiValuedFeature("c", hash_bins=10**6)
ID_SET = MultiValuedFeature("c", vocabulary_size=9)


@pytest.mark.parametrize(
    ("form", "values", "feature"),
    [
        ("string", ["ü", "", "x"], STRING),
        (["null", "bytes"], [b"\xff\0", None, b""], STRING),
        ("int", [5, -1, 2**31 - 1], STRING),
        (["null", "long"], [5, None, -(2**63) + 1], STRING),
        ("boolean", [True, False], STRING),
        (
            ["null", {"type": "enum", "name": "E", "symbols": ["a", "b"]}],
            ["b", None],
            STRING,
        ),
        (["null", "int"], [5, None, 8, 0], INTEGER),
        ("boolean", [True, False], INTEGER),
        ({"type": "array", "items": "bytes"}, [[b"\xff"], [], [b"", b"a"]], SET),
        ({"type": "array", "items": "long"}, [[], [7, 2**40]], SET),
        ({"type": "array", "items": "int"}, [[], [7, 8], [-3], [0]], ID_SET),
        (["null", "string"], [None, "7|8", "", "3"], ID_SET),
    ],
)
def test_types(form, values, feature, tmp_path, assert_same_batches):
    schema = Schema(features=[feature], labels=[Label("click")])
    clicks = [i % 2 for i in range(len(values))]
    rows = [{"c": value, "click": click} for value, click in zip(values, clicks)]
    path = write(tmp_path / "t.avro", {"c": form, "click": "int"}, rows)
    assert_same_batches(
        avro_dataset(path, schema, 2, shuffle=False),
        array_dataset({"c": values, "click": clicks}, schema, 2, shuffle=False),
    )


@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_many_rows(batch_size, tmp_path):
    """Arrays and nulls stay in their rows, whatever the batch."""
    rng = np.random.default_rng(0)
    count = 600
    columns = {
        "x": [int(i) if i % 5 else None for i in rng.integers(0, 100, count)],
        "set": [rng.integers(0, 100, n).tolist() for n in rng.integers(0, 9, count)],
        "number": list(range(count)),
    }
    types = {
        "x": ["null", "int"],
        "set": {"type": "array", "items": "long"},
        "number": "int",
    }
    path = write(tmp_path / "t.avro", types, samples.rows_of(columns), codec="deflate")
    schema = Schema(
        features=[
            CategoricalFeature("x", vocabulary_size=100),
            MultiValuedFeature("set", vocabulary_size=100),
        ],
        labels=[Label("number", task="regression")],
    )
    row = 0
    for inputs, labels in avro_dataset(path, schema, batch_size, shuffle=False):
        for x, items, number in zip(
            inputs["x"].numpy(), inputs["set"].numpy(), labels["number"].numpy()[:, 0]
        ):
            assert number == row
            # Row 0 pads, row 1 is out of vocabulary, where a missing id goes.
            assert x == (1 if columns["x"][row] is None else columns["x"][row] + 2)
            assert items[items != 0].tolist() == [i + 2 for i in columns["set"][row]]
            row += 1
    assert row == count


def test_arrays_alone(tmp_path):
    """No field is left for the record reader."""
    schema = Schema(features=[ID_SET])
    types = {"c": {"type": "array", "items": "long"}}
    path = write(tmp_path / "t.avro", types, [{"c": [1, 2]}, {"c": []}])
    (batch,) = avro_dataset(path, schema, 8, shuffle=False)
    assert batch[0]["c"].numpy().tolist() == [[3, 4], [0, 0]]


def test_shuffle(number_schema, number_files):
    def make(**options):
        return avro_dataset(number_files, number_schema, 6, **options)

    dataset = make(seed=3)
    first, second = numbers(dataset), numbers(dataset)
    for epoch in (first, second):
        assert [len(batch) for batch in epoch] == [6, 6, 6, 2]
        assert sorted(itertools.chain(*epoch)) == list(range(NUM_ROWS))
    assert numbers(make(shuffle=False))[0] == [0, 1, 2, 3, 4, 5]
    assert first != second
    again = make(seed=3)
    assert (numbers(again), numbers(again)) == (first, second)
    assert numbers(make(seed=4)) != first


def test_a_replaced_file(number_schema, number_files):
    import tensorflow as tf

    dataset = avro_dataset(number_files, number_schema, 6, shuffle=False)
    path = number_files.parent / "1.avro"
    path.write_bytes((number_files.parent / "0.avro").read_bytes())
    with pytest.raises(tf.errors.OpError, match=r"1\.avro' has changed since the"):
        numbers(dataset)
    assert len(numbers(avro_dataset(path, number_schema, 9))[0]) == 9


def test_missing_label(number_schema, tmp_path):
    import tensorflow as tf

    types = {"x": "int", "set": "string", "number": ["null", "double"]}
    rows = [{"x": 1, "set": "", "number": 1.0}, {"x": 1, "set": "", "number": None}]
    write(tmp_path / "good.avro", types, rows[:1])
    write(tmp_path / "bad.avro", types, rows)
    dataset = avro_dataset(tmp_path / "*.avro", number_schema, 3)
    message = r"(?s)Column number must have a value in every row.*bad\.avro"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message) as error:
        list(dataset)
    assert "good.avro" not in str(error.value)


def test_no_rows(number_schema, number_files):
    types = {"x": "int", "set": {"type": "array", "items": "int"}, "number": "int"}
    folder = number_files.parent / "empty"
    folder.mkdir()
    path = write(folder / "none.avro", types | {"number": "double"}, [])
    for shuffle in (False, True):
        dataset = avro_dataset(path, number_schema, 4, shuffle=shuffle)
        assert dataset.cardinality() == len(list(dataset)) == 0
        dataset = avro_dataset([path, number_files], number_schema, 4, shuffle=shuffle)
        assert sum(map(len, numbers(dataset))) == NUM_ROWS


def test_refusals(number_schema, tmp_path):
    """Before anything is read; all reasons are in `test_avro_source`."""
    types = {"x": "int", "set": {"type": "array", "items": "int"}, "number": "int"}
    path = write(tmp_path / "bad.avro", types | {"x": ["null", "boolean"]}, [])
    with pytest.raises(
        ValueError, match=r"bad\.avro': column 'x' has the type \[\"null"
    ):
        avro_dataset(path, number_schema, 8)
    path = write(tmp_path / "one.avro", types, [])
    for name, form in (
        ("number", "double"),
        ("set", {"type": "array", "items": "long"}),
    ):
        other = write(tmp_path / "other.avro", types | {name: form}, [])
        message = rf"field '{name}' is .* in '.*one\.avro' and .* in '.*other\.avro'"
        with pytest.raises(ValueError, match=message):
            avro_dataset([path, other], number_schema, 8)


def test_arguments(number_schema, number_files):
    with pytest.raises(ValueError, match=r"`batch_size` must be .*batch_size=2\.5"):
        avro_dataset(number_files, number_schema, 2.5)
    with pytest.raises(ValueError, match="avro_dataset needs a fitted schema"):
        avro_dataset(number_files, samples.unfitted_schema(), 8)
