"""Which columns are read, and what becomes of their values."""

import numpy as np
import pytest

from keras_recs.data.raw_columns import raw_columns
from keras_recs.interop.check_kind import check_kind
from keras_recs.interop.check_present import check_present
from keras_recs.interop.file_guard import FileGuard
from keras_recs.interop.list_files import list_files
from keras_recs.interop.raw_value import raw_value
from keras_recs.interop.training_columns import training_columns
from keras_recs.schema import (
    CategoricalFeature,
    Column,
    MultiValuedFeature,
    NumericFeature,
    Schema,
)


def test_training_columns(click_schema):
    columns = training_columns(click_schema)
    assert set(columns) == set(click_schema.columns) - {"time"}
    required = {name for name, column in columns.items() if column.required}
    assert required == {"click", "rating", "weight"}
    assert training_columns(click_schema, with_group=True)["user"].required


def test_a_group_that_is_no_feature():
    schema = Schema(features=[NumericFeature("x")], group_key="session")
    assert list(training_columns(schema)) == ["x"]
    column = training_columns(schema, with_group=True)["session"]
    assert column == Column("session", "string", required=True)


def test_list_files(tmp_path):
    for name in ("b.parquet", "a.parquet", "odd[1].parquet"):
        (tmp_path / name).touch()
    (tmp_path / "folder.parquet").mkdir()
    names = ["a.parquet", "b.parquet", "odd[1].parquet"]
    paths = [str(tmp_path / name) for name in names]
    assert list_files(tmp_path / "*.parquet") == paths
    assert list_files([paths[2], paths[0], paths[2]]) == [paths[2], paths[0]]
    with pytest.raises(ValueError, match="which matches no file"):
        list_files(tmp_path / "*.avro")
    with pytest.raises(ValueError, match=r"at least one file. Received: files=\[\]"):
        list_files([])


STRING = CategoricalFeature("c")
INTEGER = CategoricalFeature("c", vocabulary_size=9)
NUMBER = NumericFeature("c")
SET = MultiValuedFeature("c", separator=";")
ID_SET = MultiValuedFeature("c", vocabulary_size=9, separator=";")


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (STRING, np.array(["a", "", "ü"], object)),
        (STRING, np.array([7, -1, 2**62])),
        (STRING, np.array([7, 2**63 + 1], "uint64")),
        (STRING, np.array([7, 2**31 + 1], "uint32")),
        (STRING, np.array([True, False])),
        (INTEGER, np.array([7, -1, 8], "int32")),
        (INTEGER, np.array([7, 2**31 + 1], "uint32")),
        (INTEGER, np.array([True, False])),
        (NUMBER, np.array([0.1, np.nan, -3.0])),
        (NUMBER, np.array([0.1, np.nan], "float32")),
        (NUMBER, np.array([2**63 + 2**20], "uint64")),
        (NUMBER, np.array([3, 16777217], "int64")),
        (NUMBER, np.array([True, False])),
        (SET, np.array(["", "a", "b;c", ";d;;"], object)),
        (ID_SET, np.array(["", "1", "2;+3; -1"], object)),
    ],
)
def test_raw_value_is_as_in_memory(feature, values):
    """The same values as `array_dataset` makes of them."""
    import tensorflow as tf

    schema = Schema(features=[feature])
    expected = raw_columns({"c": values}, schema)["c"].tensor(0, len(values))
    result = raw_value(tf.constant(values), schema.columns["c"])
    assert result.dtype == expected.dtype
    if isinstance(expected, tf.RaggedTensor):
        assert result.to_list() == expected.to_list()
    else:
        np.testing.assert_array_equal(result, expected)


def test_raw_value_of_arrays():
    import tensorflow as tf

    strings = tf.ragged.constant([[], ["a", "", "b"]], dtype=tf.string)
    integers = tf.ragged.constant([[], [1, 2]], dtype=tf.int32)
    column = Column("c", "string", is_list=True)
    assert raw_value(strings, column).to_list() == [[], [b"a", b"b"]]
    assert raw_value(integers, column).to_list() == [[], [b"1", b"2"]]
    column = Column("c", "int64", is_list=True)
    assert raw_value(integers, column).dtype == tf.int64


def test_raw_value_of_bad_text():
    import tensorflow as tf

    column = Column("c", "int64", is_list=True, separator="|")
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="Column c must hold integer"
    ):
        raw_value(tf.constant(["1|2", "3|x4"]), column)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (Column("c", "string"), "number"),
        (Column("c", "string"), "array of text"),
        (Column("c", "int64"), "text"),
        (Column("c", "int64"), "number"),
        (Column("c", "float32"), "text"),
        (Column("c", "float32"), None),
        (Column("c", "string", is_list=True, separator="|"), "integer"),
        (Column("c", "string", is_list=True, separator="|"), "array of number"),
        (Column("c", "int64", is_list=True, separator="|"), "array of text"),
    ],
)
def test_check_kind(column, kind):
    message = rf"'f': column 'c' has the type T; the schema needs .* {column.dtype}\..*"
    with pytest.raises(ValueError, match=message + r"pipelines\.prepare"):
        check_kind(kind, column, "f", "T", arrays=True)


def test_arrays_where_they_are_not_read():
    column = Column("c", "string", is_list=True, separator="|")
    check_kind("array of text", column, "f", "T", arrays=True)
    check_kind("text", column, "f", "T")
    with pytest.raises(ValueError, match=r"needs text with '\|' between the values"):
        check_kind("array of text", column, "f", "T")


def test_weights_of_values_are_not_read():
    schema = Schema(features=[MultiValuedFeature("tags", weights="w")])
    message = r"\['tags'\]: `weights` are not read.*weights=\['w'\].*pipelines.prepare"
    with pytest.raises(ValueError, match=message):
        training_columns(schema)


def test_check_present():
    import tensorflow as tf

    label = Column("label", "float32", required=True)
    values = tf.constant([1.0, float("nan")])
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"(?s)Column label must have.*one"
    ):
        check_present(values, label, tf.constant("one"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="two") as error:
        check_present(values, label, tf.constant(["one", "two"]))
    assert "one" not in str(error.value)
    group = Column("group", "string", required=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Column group must have"):
        check_present(tf.constant(["a", ""]), group, tf.constant("one"))
    for column in (Column("x", "float32"), Column("x", "int64", required=True)):
        assert check_present(values, column, tf.constant("one")) is values


def test_file_guard(tmp_path):
    import tensorflow as tf

    path = tmp_path / "ü"
    path.write_text("one")
    guard = FileGuard.of(str(path))
    data = tf.data.Dataset.from_tensors((guard.path, guard.identity))
    data = data.map(FileGuard.check)
    assert [name.numpy().decode() for name in data] == [str(path)]
    path.write_text("other")
    with pytest.raises(tf.errors.OpError, match="has changed since the dataset was"):
        list(data)
