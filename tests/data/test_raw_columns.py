"""Columns in memory to raw values: what is missing, what is wrong."""

import itertools

import numpy as np
import pandas as pd
import pytest

from keras_recs import (
    CategoricalFeature,
    Label,
    MultiValuedFeature,
    NumericFeature,
    Schema,
    SequenceFeature,
)
from keras_recs.data.raw_columns import raw_columns

STRING = CategoricalFeature("x")
ID = CategoricalFeature("x", vocabulary_size=99)
NUMBER = NumericFeature("x")
TAGS = MultiValuedFeature("x")
IDS = SequenceFeature("x", vocabulary_size=99)
NAN = float("nan")


def column(feature, values):
    return raw_columns({"x": values}, Schema(features=[feature]))["x"]


def flat(feature, values):
    return column(feature, values).values.tolist()


def lists(feature, values):
    found = column(feature, values)
    splits = found.row_splits.tolist()
    assert len(found) == len(splits) - 1
    return [found.values[a:b].tolist() for a, b in itertools.pairwise(splits)]


@pytest.mark.parametrize(
    "values",
    [
        ["a", None, ""],
        ["a", NAN, ""],
        [b"a", NAN, b""],
        ("a", pd.NA, None),
        np.array(["a", None, np.nan], object),
        np.array(["a", "", ""]),
        np.array([b"a", b"", b""]),
        pd.Series(["a", None, ""]),
        pd.array(["a", pd.NA, ""], dtype="string"),
        pd.Series(["a", pd.NA, None], dtype="category"),
        pd.Series(["a", np.nan, pd.NaT], dtype=object),
        [["a"], [None], [""]],
    ],
)
def test_strings_and_what_is_missing(values):
    assert flat(STRING, values) == [b"a", b"", b""]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 12], [b"3", b"12"]),
        (np.array([3, -12]), [b"3", b"-12"]),
        (np.array([3, 12], "uint8"), [b"3", b"12"]),
        ([3, None], [b"3", b""]),
        # Beside a missing value pandas makes floats of integers.
        (pd.Series([3, None]), [b"3", b""]),
        (pd.array([3, pd.NA], dtype="Int64"), [b"3", b""]),
        ([1.5, 2.0], [b"1.5", b"2"]),
        ([True, False], [b"True", b"False"]),
        # Beyond 2**53 a float would be another id.
        ([2**53 + 1, NAN], [b"9007199254740993", b""]),
        ([2**53 + 1, "x"], [b"9007199254740993", b"x"]),
        (["ä", "日"], ["ä".encode(), "日".encode()]),
    ],
)
def test_integers_of_a_string_feature_are_decimal_strings(values, expected):
    assert flat(STRING, values) == expected


@pytest.mark.parametrize(
    "values",
    [
        [3, None, -1],
        [3, NAN, None],
        ["3", "", None],
        np.array([3.0, np.nan, np.nan]),
        pd.array([3, pd.NA, pd.NA], dtype="Int64"),
        [[3], [None], [-1]],
    ],
)
def test_ids_and_what_is_missing(values):
    assert flat(ID, values) == [3, -1, -1]


def test_large_ids_stay_exact():
    assert flat(ID, [2**62 + 1, NAN]) == [2**62 + 1, -1]


@pytest.mark.parametrize(
    "values",
    [
        [1.5, None],
        [1.5, NAN],
        ["1.5", ""],
        np.array([1.5, np.nan], "float16"),
        pd.array([1.5, pd.NA], dtype="Float64"),
        pd.Series([1.5, None]),
    ],
)
def test_numbers_and_what_is_missing(values):
    found = column(NUMBER, values).values
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, [1.5, np.nan])


@pytest.mark.parametrize(
    "values",
    [
        ["a|b", "", "c"],
        ["a||b", "|", "|c"],
        [b"a|b", b"", b"c"],
        [["a", "b"], [], ["c"]],
        [["a", None, "b"], [NAN], ("c",)],
        [np.array(["a", "b"]), None, np.array(["c"])],
        ["a|b", NAN, ["c"]],
        pd.Series(["a|b", None, "c"]),
        pd.array(["a|b", pd.NA, "c"], dtype="string"),
        pd.Series([["a", "b"], pd.NA, ["c"]]),
    ],
)
def test_lists_and_what_is_missing(values):
    assert lists(TAGS, values) == [[b"a", b"b"], [], [b"c"]]


def test_lists_of_ids():
    assert lists(IDS, ["3|4", None, "5"]) == [[3, 4], [], [5]]
    assert lists(IDS, [[3, 4], [], np.array([5])]) == [[3, 4], [], [5]]
    assert lists(IDS, np.array([[3, 4], [5, 6]])) == [[3, 4], [5, 6]]
    # A column of lists of one, which pandas reads as numbers.
    assert lists(IDS, pd.Series([3, None, 5])) == [[3], [], [5]]
    assert lists(TAGS, pd.Series([3, None, 5])) == [[b"3"], [], [b"5"]]


def test_another_separator():
    feature = MultiValuedFeature("x", separator=", ")
    assert lists(feature, ["a, b|c", ""]) == [[b"a", b"b|c"], []]


@pytest.mark.parametrize("feature", [TAGS, IDS])
def test_lists_that_are_all_empty_keep_their_type(feature):
    tensor = column(feature, [[], ""]).tensor(0, 2)
    assert tensor.dtype == feature.dtype
    assert tensor.to_list() == [[], []]


def test_rows_of_a_column_as_tensors():
    found = column(TAGS, ["a|b", "", "c|d|e", "f"])
    assert found.tensor(1, 3).to_list() == [[], [b"c", b"d", b"e"]]
    assert found.tensor(3, 99).to_list() == [[b"f"]]
    assert column(ID, [5, 6, 7]).tensor(1, 3).numpy().tolist() == [6, 7]


@pytest.mark.parametrize(
    ("feature", "values", "message"),
    [
        (
            STRING,
            [["a"], ["b", "c"]],
            r"'x' must have one value a row. Received: \['a'\] in row 0",
        ),
        (STRING, np.zeros((2, 3)), r"'x' must have one value a row.*shape \(2, 3\)"),
        (STRING, "a", "'x' must be an array or a list .* Received: 'a'"),
        (ID, 3, "'x' must be an array or a list .* Received: 3"),
        (TAGS, "a|b", r"'x' must be an array or a list .* Received: 'a\|b'"),
        (TAGS, [[["a"], ["b", "c"]]], "'x' must have one value a row"),
        (ID, [1, "b"], "'x' must hold integer ids. Received: 'b' in row 1"),
        (ID, [1.5], "'x' must hold integer ids. Received: 1.5 in row 0"),
        (ID, np.array([1.5]), "'x' must hold integer ids. Received: 1.5 in row 0"),
        (ID, [float("inf")], "'x' must hold integer ids. Received: inf in row 0"),
        (ID, [2**63], "'x' must hold integer ids. Received: 9223372036854775808"),
        (
            ID,
            np.array(["2024-01-01"], "datetime64[s]"),
            "'x' must hold integers.*seconds",
        ),
        (NUMBER, [1.0, "b"], "'x' must hold numbers. Received: 'b' in row 1"),
        (NUMBER, [[1.0, 2.0], 1.0], r"'x' must hold numbers. Received: \[1.0, 2.0\]"),
    ],
)
def test_what_is_wrong(feature, values, message):
    with pytest.raises(ValueError, match=message):
        column(feature, values)


def test_columns_that_do_not_fit():
    schema = Schema(features=[STRING, NumericFeature("y")])
    with pytest.raises(ValueError, match=r"lacks column 'y' .* Received: \['x'\]"):
        raw_columns({"x": ["a"]}, schema)
    with pytest.raises(ValueError, match=r"as many rows. Received: \{'x': 1, 'y': 2\}"):
        raw_columns({"x": ["a"], "y": [1, 2]}, schema)
    frame = pd.DataFrame({"x": ["a"], "y": [1], "other": [2]})
    assert set(raw_columns(frame, schema)) == {"x", "y"}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("click", [1, None, 0]),
        ("click", [1, NAN, 0]),
        ("weight", [1.0, NAN, 1.0]),
        ("user", ["a", None, "b"]),
        ("user", ["a", "", "b"]),
        ("time", [1, None, 3]),
        ("time", [1, NAN, 3]),
    ],
)
def test_labels_weights_and_keys_must_be_there(name, values):
    schema = Schema(
        features=[STRING],
        labels=[Label("click", sample_weight="weight")],
        group_key="user",
        timestamp="time",
    )
    data = {
        "x": "abc",
        "click": [1, 0, 1],
        "weight": [1, 1, 1],
        "user": "uvw",
        "time": [1, 2, 3],
    }
    data = {key: list(value) for key, value in data.items()}
    assert len(raw_columns(data, schema)) == 5
    data[name] = values
    message = f"'{name}' must have a value in every row. Received none in row 1"
    with pytest.raises(ValueError, match=message):
        raw_columns(data, schema)
    assert set(raw_columns(data, schema, features_only=True)) == {"x"}


def test_a_feature_that_is_the_group_key_too_must_be_there():
    schema = Schema(features=[ID], group_key="x")
    with pytest.raises(ValueError, match="'x' must have a value in every row"):
        raw_columns({"x": [3, -1]}, schema)


# === Labels and weights, as in files ===


@pytest.mark.parametrize(
    ("label", "columns", "message"),
    [
        (Label("y"), {"y": [0, 2]}, "Column 'y' must be 0 or 1.*2.0 in row 1"),
        (
            Label("y", task="regression"),
            {"y": [0.5, np.inf]},
            "'y' must be finite.*inf in row 1",
        ),
        (
            Label("y", task="watch_time"),
            {"y": [0, -0.5]},
            "'y' must be a finite number of at least 0.*-0.5 in row 1",
        ),
        (
            Label("y", task="watch_time"),
            {"y": [3, np.inf]},
            "'y' must be a finite number of at least 0.*inf in row 1",
        ),
        (
            Label("y", task="watch_time"),
            {"y": [3, None]},
            "'y' must have a value in every row.*row 1",
        ),
        (
            Label("y", sample_weight="w"),
            {"y": [0, 1], "w": [1, -1]},
            "'w' must be a finite number of at least 0.*row 1",
        ),
        (Label("y"), {"y": [0, "1_0"]}, "'y' must hold numbers.*'1_0' in row 1"),
    ],
)
def test_labels_follow_the_rules_of_files(label, columns, message):
    schema = Schema([CategoricalFeature("x", hash_bins=3)], [label])
    with pytest.raises(ValueError, match=message):
        raw_columns({"x": ["a", "b"], **columns}, schema)
