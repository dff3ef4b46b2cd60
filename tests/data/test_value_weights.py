"""Weights of a feature's values: from files and columns to a training batch."""

import json
import math
import re

import numpy as np
import pyarrow as pa
import pytest

from keras_recs import Label, MultiValuedFeature, Schema
from keras_recs.data import array_dataset, tfrecord_dataset
from keras_recs.data.prepare import prepare
from keras_recs.data.raw_columns import raw_columns
from keras_recs.data.write_tfrecords import write_tfrecords
from tests import numpy_reference, samples
from tests.raw_logs import small_chunks, write_log

SCHEMA = Schema(
    features=[
        MultiValuedFeature("tags", hash_bins=50, weights="tag_weights", separator=";"),
        MultiValuedFeature("ids", vocabulary_size=9, max_length=2, weights="w"),
    ],
    labels=[Label("click")],
)
NAN = float("nan")
# What stands in the file, and what is left of it.
TAGS = [
    (["a", "b", "c"], [0.5, -2.0, 0.0], ["a", "b", "c"], [0.5, -2.0, 0.0]),
    (["a", "", "c"], [0.5, 7.0, 1.5], ["a", "c"], [0.5, 1.5]),
    (["", "b"], [None, 3], ["b"], [3.0]),
    (["a", "b"], [], ["a", "b"], []),
    ([], [], [], []),
    (["", ""], [4.0, None], [], []),
    (["d", "e"], [None, None], ["d", "e"], []),
]
IDS = [
    ([1, 2, 3], [0.1, 0.2, 0.3], [1, 2, 3], [0.1, 0.2, 0.3]),
    ([-1, 5], [0.4, 0.5], [5], [0.5]),
    ([4], [1], [4], [1.0]),
    ([], [], [], []),
    ([6, 7], [], [6, 7], []),
    ([0], [1e-3], [0], [1e-3]),
    ([8], [2.5], [8], [2.5]),
]


def rows():
    return [
        {"tags": t[0], "tag_weights": t[1], "ids": i[0], "w": i[1], "click": n % 2}
        for n, (t, i) in enumerate(zip(TAGS, IDS, strict=True))
    ]


def kept(row):
    (_, _, tags, tag_weights), (_, _, ids, w) = TAGS[row], IDS[row]
    return {"tags": tags, "tag_weights": tag_weights, "ids": ids, "w": w}


def text_of(row):
    """A row whose lists are text."""

    def joined(values, separator):
        return separator.join("" if v is None else str(v) for v in values)

    separators = {"tags": ";", "tag_weights": ";", "ids": "|", "w": "|"}
    return {**row, **{n: joined(row[n], s) for n, s in separators.items()}}


def write(name, folder, values):
    path = folder / name
    if name.endswith((".csv", ".tsv", "text.jsonl")):
        values = [text_of(row) for row in values]
    return write_log(values, path)


def assert_kept(found, row):
    for name, values in kept(row).items():
        expected = [v.encode() if isinstance(v, str) else v for v in values]
        if name in ("w", "tag_weights"):
            np.testing.assert_allclose(found[name], expected, rtol=1e-6)
        else:
            assert list(found[name]) == expected


@pytest.mark.parametrize("chunk", [1, 1 << 20])
@pytest.mark.parametrize(
    "name", ["log.csv", "log.tsv", "log.jsonl", "text.jsonl", "log.parquet"]
)
def test_values_and_weights_stay_beside_each_other(tmp_path, name, chunk):
    from keras_recs.data import parse_examples

    path = write(name, tmp_path, rows())
    written = write_tfrecords(
        path,
        SCHEMA,
        tmp_path / "t",
        num_shards=1,
        raw_format=small_chunks(chunk),
        num_processes=1,
    )
    import tensorflow as tf

    records = list(tf.data.TFRecordDataset(list(written)).as_numpy_iterator())
    assert len(records) == len(TAGS)
    for row, record in enumerate(records):
        parsed = parse_examples([record], SCHEMA)
        assert_kept({n: v.numpy()[0].tolist() for n, v in parsed.items()}, row)
        # The bytes are those that TensorFlow writes.
        message = tf.train.Example.FromString(record)
        full = {n: v or None for n, v in kept(row).items()}
        expected = samples.example({**full, "click": float(row % 2)})
        assert message.SerializeToString(deterministic=True) == expected


@pytest.mark.parametrize("form", ["lists", "text"])
def test_columns_in_memory(form):
    values = [text_of(row) if form == "text" else row for row in rows()]
    columns = raw_columns({n: [r[n] for r in values] for n in values[0]}, SCHEMA)
    for row in range(len(TAGS)):
        found = {}
        for name in kept(row):
            start, stop = columns[name].row_splits[row : row + 2]
            found[name] = columns[name].values[start:stop].tolist()
        assert_kept(found, row)


def test_arrays_in_memory_that_are_filled_up():
    data = {
        "tags": np.array([["a", "b"], ["c", ""], ["d", ""]]),
        "tag_weights": np.array([[1.0, 2.0], [3.0, 0.0], [NAN, NAN]]),
        "ids": np.array([[1, -1], [-1, -1], [2, 3]]),
        "w": np.array([[0.5, NAN], [NAN, NAN], [0.25, 4.0]]),
        "click": [0, 1, 1],
    }
    columns = raw_columns(data, SCHEMA)
    assert columns["tag_weights"].values.tolist() == [1.0, 2.0, 3.0]
    assert columns["tag_weights"].row_splits.tolist() == [0, 2, 3, 3]
    assert columns["ids"].values.tolist() == [1, 2, 3]
    assert columns["w"].values.tolist() == [0.5, 0.25, 4.0]
    assert columns["w"].row_splits.tolist() == [0, 1, 1, 3]


# === Bad rows ===

TAG_ERRORS = [
    (["a", "b"], [1.5], "1 weights where 'tags' has 2 values"),
    (["a"], [1.5, 2.0], "2 weights where 'tags' has 1 values"),
    ([], [1.5], "1 weights where 'tags' has 0 values"),
    (["a", "", "b"], [1.5, 2.5], "2 weights where 'tags' has 3 values"),
    (["a", "b"], [1.5, None], "a value of 'tags' has no weight"),
]


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl", "log.parquet"])
@pytest.mark.parametrize(("tags", "weights", "reason"), TAG_ERRORS)
def test_weights_that_do_not_match_are_a_bad_row(tmp_path, name, tags, weights, reason):
    good = {"tags": ["a"], "tag_weights": [1.0], "ids": [1], "w": [1.0], "click": 1}
    bad = {**good, "tags": tags, "tag_weights": weights}
    path = write(name, tmp_path, [good, bad, good])
    line = {"log.csv": 3, "log.jsonl": 2, "log.parquet": 2}[name]
    shown = text_of(bad)["tag_weights"] if name == "log.csv" else repr(weights)
    message = f"'{path}', line {line}, column 'tag_weights': {reason}. Received: "
    options = {"num_shards": 1, "num_processes": 1}
    with pytest.raises(ValueError, match=re.escape(message + repr(shown))):
        write_tfrecords(path, SCHEMA, tmp_path / "t", **options)
    quarantine = tmp_path / "bad.jsonl"
    written = write_tfrecords(
        path,
        SCHEMA,
        tmp_path / "t",
        max_bad_rows=1,
        quarantine=quarantine,
        **options,
    )
    assert list(written.values()) == [2]
    found = json.loads(quarantine.read_text("utf-8"))
    assert (found["line"], found["column"]) == (line, "tag_weights")
    assert found["raw"]


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        ("inf", "the number is not finite"),
        ("1e39", "the number is not finite"),
        ("nan", "a value of 'tags' has no weight"),
        ("high", "the value is not a number"),
    ],
)
def test_a_weight_that_is_no_number_is_a_bad_row(tmp_path, weight, reason):
    path = tmp_path / "log.csv"
    path.write_text(f"tags,tag_weights,ids,w,click\na;b,1;{weight},1,1,0\n")
    message = f"line 2, column 'tag_weights': {reason}. Received: '1;{weight}'"
    with pytest.raises(ValueError, match=re.escape(message)):
        write_tfrecords(path, SCHEMA, tmp_path / "t", num_processes=1)


def test_a_column_of_weights_must_be_there(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("tags,ids,w,click\na,1,1,0\n")
    with pytest.raises(ValueError, match="tag_weights"):
        write_tfrecords(path, SCHEMA, tmp_path / "t", num_processes=1)
    with pytest.raises(ValueError, match="`data` lacks column 'tag_weights'"):
        raw_columns({"tags": [["a"]]}, SCHEMA)


@pytest.mark.parametrize(
    ("tags", "weights", "reason"),
    [*TAG_ERRORS, (["a", "b"], [1.5, math.inf], "a weight is not finite")],
)
def test_weights_in_memory_that_do_not_match(tags, weights, reason):
    data = {"tags": [["a"], tags], "tag_weights": [[1.0], weights]}
    data |= {"ids": [[], []], "w": [[], []], "click": [0, 1]}
    message = (
        "Column 'tag_weights' must have a finite weight for each value of 'tags', or "
        f"none at all: {reason}. Received: ["
    )
    with pytest.raises(ValueError, match=re.escape(message) + r".* in row 1\."):
        raw_columns(data, SCHEMA)


# === To a batch ===


def expected_batch(width):
    """Model inputs by hand, rows of a batch as wide as its longest set."""

    def filled(values, length):
        return [*values, *[0] * (length - len(values))]

    tags, tag_weights, ids, w = [], [], [], []
    for (_, _, names, weights), (_, _, numbers, others) in zip(TAGS, IDS, strict=True):
        tags.append(
            filled([numpy_reference.hash_row(name, 50) for name in names], width)
        )
        tag_weights.append(filled(weights or [1] * len(names), width))
        ids.append(filled([n + 2 for n in numbers][:2], 2))
        w.append(filled((others or [1] * len(numbers))[:2], 2))
    return {"tags": tags, "tag_weights": tag_weights, "ids": ids, "w": w}


def test_from_prepare_to_a_batch(tmp_path):
    path = write("log.csv", tmp_path, rows())
    prepare(path, SCHEMA, tmp_path / "out", num_shards=1, num_processes=1)
    schema = Schema.load(tmp_path / "out")
    assert schema == SCHEMA
    options = {"batch_size": len(TAGS), "shuffle": False}
    from_files = tfrecord_dataset(
        str(tmp_path / "out" / "train*.tfrecord"), schema, **options
    )
    data = {n: [row[n] for row in rows()] for n in rows()[0]}
    for dataset in (from_files, array_dataset(data, schema, **options)):
        inputs, labels = next(iter(dataset))
        assert list(inputs) == ["tags", "tag_weights", "ids", "w"]
        for name, values in expected_batch(3).items():
            np.testing.assert_allclose(inputs[name], values, rtol=1e-6, err_msg=name)
        assert labels["click"].numpy()[:, 0].tolist() == [n % 2 for n in range(7)]


def test_records_of_others_that_do_not_match_stop_the_reading(tmp_path):
    import tensorflow as tf

    bad = samples.example({"tags": ["a", "b"], "tag_weights": [1.0], "click": 1.0})
    path = samples.write_records(tmp_path / "train.tfrecord", [bad])
    schema = Schema(features=SCHEMA.features[:1], labels=SCHEMA.labels)
    message = (
        r"Feature tags must have a weight .* weights:\] \[1\] \[Received values:\] \[2"
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(tfrecord_dataset(path, schema, 1)))


def test_columns_without_an_item():
    data = {"tags": [[], ""], "tag_weights": ["", []], "ids": ["", []], "w": [[], None]}
    columns = raw_columns({**data, "click": [0, 1]}, SCHEMA)
    for name in data:
        assert columns[name].row_splits.tolist() == [0, 0, 0]


def test_lists_without_an_item():
    """A chunk in which no row has a value."""
    from keras_recs.data.encode_records import encode_records

    empty = pa.array([[], []], pa.list_(pa.float32()))
    assert len(encode_records({"w": empty}, 2)) == 2
