"""All features of a schema at once, against loops."""

from pathlib import Path

import numpy as np
import pytest

from keras_recs import (
    CategoricalFeature,
    CrossedFeature,
    MultiValuedFeature,
    NumericFeature,
    Schema,
    SequenceFeature,
)
from keras_recs.preprocessing import SchemaPreprocessor
from keras_recs.schema import FittedNumeric
from tests import numpy_reference as reference
from tests import samples

LISTS = ("genres", "history")


def raw_tensors(columns, schema, ragged):
    """Raw features as tensors: `""`, −1 and NaN where a value is missing."""
    import tensorflow as tf

    raw = {}
    for feature in schema.raw_features:
        values = columns[feature.name]
        missing = {"string": "", "int64": -1, "float32": np.nan}[feature.dtype]
        if feature.name in LISTS and ragged:
            dtype = tf.string if feature.dtype == "string" else tf.int64
            raw[feature.name] = tf.ragged.constant(values, dtype, ragged_rank=1)
        elif feature.name in LISTS:
            width = max(1, *(len(v) for v in values))
            filled = [[*v, *[missing] * (width - len(v))] for v in values]
            raw[feature.name] = tf.constant(filled, feature.dtype)
        else:
            filled = [missing if v is None else v for v in values]
            raw[feature.name] = tf.constant(filled, feature.dtype)
    return raw


def expected_row(row):
    """The model inputs of one raw row of `samples`, by the page's definitions."""
    hour = 12 if row["hour"] is None else row["hour"]
    history = [
        reference.vocabulary_row(v, samples.ITEMS, 2) for v in row["history"][-3:]
    ]
    price, age = (np.nan if row[n] is None else row[n] for n in ("price", "age"))
    return {
        "user": reference.vocabulary_row(row["user"], samples.USERS),
        "item": max(1, reference.vocabulary_row(row["item"] or "", samples.ITEMS, 2)),
        "genres": [reference.hash_row(v, 7) for v in row["genres"]],
        "history": [0] * (3 - len(history)) + history,
        "hour": reference.identity_row(hour, 24),
        "price": reference.number(price, True, **samples.PRICE),
        "age": reference.bucket_row(age, samples.BOUNDARIES),
        "user_x_hour": reference.cross_row([row["user"], hour], 11),
    }


@pytest.mark.parametrize("ragged", [True, False])
def test_every_kind_of_feature(click_schema, ragged):
    columns = samples.click_columns(64)
    outputs = SchemaPreprocessor(click_schema)(
        raw_tensors(columns, click_schema, ragged)
    )
    assert list(outputs) == list(click_schema.feature_names)
    expected = [expected_row(row) for row in samples.rows_of(columns)]
    for name, output in outputs.items():
        assert output.dtype == ("float32" if name == "price" else "int32")
        for row, values in enumerate(output.numpy()):
            wanted = expected[row][name]
            if name == "genres":  # as wide as the longest of the batch
                assert output.shape[1] == 3
                wanted = wanted + [0] * (3 - len(wanted))
            np.testing.assert_allclose(values, wanted, rtol=1e-6, err_msg=name)
        if name != "price":
            table = click_schema.tables[click_schema[name].table_name]
            assert output.numpy().min() >= 0
            assert output.numpy().max() < table.num_rows


def test_a_missing_value_inside_a_list_is_dropped_in_either_form():
    """Else a ragged training batch and a dense request would differ."""
    import tensorflow as tf

    schema = Schema(
        features=[
            SequenceFeature("ids", vocabulary_size=9, max_length=2),
            MultiValuedFeature("tags", hash_bins=9, max_length=2),
        ]
    )
    ids, tags = [[3, -1, 4], [-1, -1, 5]], [["a", "", "b"], ["", "c", ""]]
    layer = SchemaPreprocessor(schema)
    dense = layer({"ids": tf.constant(ids, tf.int64), "tags": tf.constant(tags)})
    ragged = layer(
        {
            "ids": tf.ragged.constant(ids, tf.int64),
            "tags": tf.ragged.constant(tags),
        }
    )
    for outputs in (dense, ragged):
        assert outputs["ids"].numpy().tolist() == [[5, 6], [7, 0]]
        a, b, c = (reference.hash_row(tag, 9) for tag in "abc")
        assert outputs["tags"].numpy().tolist() == [[a, b], [c, 0]]


@pytest.mark.parametrize(
    ("padding", "expected"),
    [("left", [[0, 0, 2], [3, 4, 5]]), ("right", [[2, 0, 0], [3, 4, 5]])],
)
def test_sequences_keep_their_most_recent_values(padding, expected):
    schema = Schema(
        features=[
            SequenceFeature("s", vocabulary_size=9, max_length=3, padding=padding)
        ]
    )
    raw = np.array([[0, -1, -1, -1], [0, 1, 2, 3]])
    outputs = SchemaPreprocessor(schema)({"s": raw})
    assert outputs["s"].numpy().tolist() == expected


def test_multi_valued_features_keep_their_first_values():
    schema = Schema(features=[MultiValuedFeature("m", vocabulary_size=9, max_length=2)])
    outputs = SchemaPreprocessor(schema)({"m": np.array([[0, 1, 2], [3, -1, -1]])})
    assert outputs["m"].numpy().tolist() == [[2, 3], [5, 0]]


def test_a_batch_without_any_value_has_one_column():
    schema = Schema(features=[MultiValuedFeature("m", hash_bins=9)])
    outputs = SchemaPreprocessor(schema)({"m": np.array([["", ""], ["", ""]])})
    assert outputs["m"].numpy().tolist() == [[0], [0]]


def test_defaults_stand_in_for_what_is_missing():
    schema = Schema(
        features=[
            CategoricalFeature("c", hash_bins=9, default="x"),
            CategoricalFeature("i", vocabulary_size=9, default=3),
            MultiValuedFeature("m", hash_bins=9, default="x"),
            SequenceFeature("s", vocabulary_size=9, max_length=2, default=4),
            NumericFeature("n", default=7.0),
            NumericFeature("mean", default="mean", transform="log1p"),
            NumericFeature("b", num_buckets=2, default=7.0),
            CrossedFeature("cross", keys=("c", "i"), hash_bins=9),
        ],
        numerics={
            "mean": FittedNumeric(3.0, 9.0, 9.0, 0.0, 9.0),
            "b": FittedNumeric(0.0, 0.0, 1.0, 0.0, 9.0, boundaries=(5.0,)),
        },
    )
    layer = SchemaPreprocessor(schema)
    there = {
        "c": ["x"],
        "i": [3],
        "m": [["x"]],
        "s": [[4]],
        "n": [7.0],
        "mean": [3.0],
        "b": [7.0],
    }
    gone = {
        "c": [""],
        "i": [-1],
        "m": [[""]],
        "s": [[-1]],
        "n": [np.nan],
        "mean": [np.nan],
        "b": [np.inf],
    }

    def outputs(raw):
        dtypes = {f.name: f.dtype for f in schema.raw_features}
        arrays = {
            n: np.array(v, "str" if dtypes[n] == "string" else dtypes[n])
            for n, v in raw.items()
        }
        return {n: t.numpy().tolist() for n, t in layer(arrays).items()}

    assert outputs(gone) == outputs(there)
    row = outputs(gone)
    assert row["s"] == [[6, 0]]
    assert row["b"] == [3]
    np.testing.assert_allclose(row["mean"], [np.log(4.0)], rtol=1e-6)
    assert row["cross"] == [reference.cross_row(["x", 3], 9)]


def test_without_a_default_a_missing_value_is_out_of_vocabulary():
    schema = Schema(
        features=[
            CategoricalFeature("c", hash_bins=9),
            CategoricalFeature("i", vocabulary_size=9, num_oov=3),
            NumericFeature("n", transform="log1p"),
            NumericFeature("b", num_buckets=2),
        ],
        numerics={"b": FittedNumeric(0.0, 0.0, 1.0, 0.0, 9.0, boundaries=(5.0,))},
    )
    raw = {
        "c": np.array([""]),
        "i": np.array([-1]),
        "n": np.array([np.nan]),
        "b": np.array([np.nan]),
    }
    outputs = SchemaPreprocessor(schema)(raw)
    assert {n: t.numpy().tolist() for n, t in outputs.items()} == {
        "c": [1],
        "i": [1],
        "n": [0.0],
        "b": [1],
    }


def test_keys_of_a_table_that_grows():
    """Keys of strings; what is missing is as in the other kinds."""
    import tensorflow as tf

    schema = Schema(
        features=[
            CategoricalFeature("c", max_keys=9, default="x"),
            CategoricalFeature("d", max_keys=9, num_oov=2),
            MultiValuedFeature("m", table="d", max_length=2),
            SequenceFeature("s", table="d", max_length=3, padding="left", default="y"),
            CrossedFeature("cross", keys=("c", "d"), hash_bins=9),
        ]
    )
    raw = {
        "c": tf.constant(["a", ""]),
        "d": tf.constant(["a", ""]),
        "m": tf.constant([["a", "", "b"], ["", "", ""]]),
        "s": tf.constant([["a", "", "b"], ["", "", ""]]),
    }
    outputs = SchemaPreprocessor(schema)(raw)
    a, b, x, y = (reference.hash_key(value) for value in "abxy")
    assert {n: t.numpy().tolist() for n, t in outputs.items()} == {
        "c": [a, x],
        "d": [a, 0],  # a row out of vocabulary, in the model
        "m": [[a, b], [0, 0]],
        "s": [[0, a, b], [0, 0, y]],
        "cross": [reference.cross_row(["a", "a"], 9), 1],
    }
    assert {n for n, t in outputs.items() if t.dtype == "int64"} == {"c", "d", "m", "s"}


def weighted(**options):
    return Schema(
        features=[
            MultiValuedFeature("tags", hash_bins=9, weights="tag_weights", **options)
        ]
    )


NAN = float("nan")
WEIGHTED_TAGS = [["a", "", "b", "c"], ["", "", "", ""], ["d", "e", "", ""]]
TAG_WEIGHTS = [[0.5, 9.0, -2.0, 3.0], [1.0, 2.0, 3.0, 4.0], [NAN, NAN, NAN, NAN]]


@pytest.mark.parametrize("ragged", [True, False])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0.5, -2.0, 3.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]),
        ({"max_length": 2}, [[0.5, -2.0], [0.0, 0.0], [1.0, 1.0]]),
        ({"default": "z"}, [[0.5, -2.0, 3.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]),
    ],
)
def test_weights_go_where_their_values_go(ragged, options, expected):
    import tensorflow as tf

    raw = {"tags": tf.constant(WEIGHTED_TAGS), "tag_weights": tf.constant(TAG_WEIGHTS)}
    if ragged:  # as examples bring them: short lists, and none for no weight
        tags = [WEIGHTED_TAGS[0], WEIGHTED_TAGS[1], ["d", "e"]]
        weights = [*TAG_WEIGHTS[:2], []]
        raw = {
            "tags": tf.ragged.constant(tags),
            "tag_weights": tf.ragged.constant(weights),
        }
    outputs = SchemaPreprocessor(weighted(**options))(raw)
    assert list(outputs) == ["tags", "tag_weights"]
    assert outputs["tag_weights"].dtype == "float32"
    assert outputs["tag_weights"].numpy().tolist() == expected
    there = outputs["tags"].numpy() != 0
    default = [1] if "default" in options else []
    assert there.sum(axis=1).tolist() == [
        min(3, options.get("max_length", 3)),
        *(default or [0]),
        2,
    ]


def test_weights_of_integer_ids():
    schema = Schema(
        features=[MultiValuedFeature("ids", vocabulary_size=9, weights="w")]
    )
    raw = {"ids": np.array([[-1, 4, 5]], "int32"), "w": np.array([[9, 1, 2]])}
    outputs = SchemaPreprocessor(schema)(raw)
    assert outputs["ids"].numpy().tolist() == [[6, 7]]
    assert outputs["w"].numpy().tolist() == [[1.0, 2.0]]


def test_a_weight_that_is_not_finite_is_left_to_the_layer():
    raw = {
        "tags": np.array([["a", "b"]]),
        "tag_weights": np.array([[NAN, np.inf]], "float32"),
    }
    # One that is there makes the others weights too.
    outputs = SchemaPreprocessor(weighted())(raw)
    np.testing.assert_array_equal(outputs["tag_weights"], [[NAN, np.inf]])


@pytest.mark.parametrize("width", [1, 2, 5])
def test_no_weights_may_be_of_any_width(width):
    raw = {
        "tags": np.array([["a", "b"], ["c", ""]]),
        "tag_weights": np.full((2, width), NAN, "float32"),
    }
    outputs = SchemaPreprocessor(weighted())(raw)
    assert outputs["tag_weights"].numpy().tolist() == [[1.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize("weights", [[[1.0]], [[1.0, 2.0, 3.0]], [[1.0, NAN, NAN]]])
def test_weights_that_do_not_match_are_an_error(weights, graph):
    import tensorflow as tf

    layer = SchemaPreprocessor(weighted())
    call = tf.function(layer) if graph else layer
    raw = {"tags": tf.constant([["a", "b"]]), "tag_weights": tf.constant(weights)}
    message = r"Feature tags must have a weight for each value in column tag_weights"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call(raw)


def test_an_empty_batch_with_weights():
    raw = {"tags": np.zeros((0, 2), "U1"), "tag_weights": np.zeros((0, 2), "float32")}
    outputs = SchemaPreprocessor(weighted(max_length=3))(raw)
    assert outputs["tag_weights"].shape == (0, 3)


def test_weights_that_are_not_given():
    with pytest.raises(
        ValueError,
        match=r"'tags': its `weights` 'tag_weights' are missing. Received: \['tags'\]",
    ):
        SchemaPreprocessor(weighted())({"tags": np.array([["x"]])})


def test_the_global_policy_changes_nothing(click_schema):
    """The numbers of a mixed-precision training are those of serving."""
    import keras

    raw = raw_tensors(samples.click_columns(16), click_schema, ragged=True)
    expected = SchemaPreprocessor(click_schema)(raw)
    keras.config.set_dtype_policy("mixed_bfloat16")
    outputs = SchemaPreprocessor(click_schema)(raw)
    for name, output in outputs.items():
        assert output.dtype == expected[name].dtype
        np.testing.assert_array_equal(output, expected[name])


def test_names_that_tensorflow_does_not_allow():
    schema = Schema(
        features=[
            CategoricalFeature("Größe in cm", hash_bins=5),
            NumericFeature("price €"),
        ]
    )
    raw = {"Größe in cm": np.array(["a"]), "price €": np.array([1.5], "float32")}
    outputs = SchemaPreprocessor(schema)(raw)
    assert outputs["price €"].numpy().tolist() == [1.5]


def test_messages(click_schema):
    with pytest.raises(ValueError, match="SchemaPreprocessor needs a fitted schema"):
        SchemaPreprocessor(samples.unfitted_schema())
    schema = Schema(features=[CategoricalFeature("a", hash_bins=3)])
    with pytest.raises(ValueError, match=r"Feature 'a' is missing. Received: \['b'\]"):
        SchemaPreprocessor(schema)({"b": np.array(["x"])})


def test_a_vocabulary_that_was_left_behind(tmp_path):
    schema = samples.click_schema(tmp_path)
    (tmp_path / "user.txt").unlink()
    with pytest.raises(ValueError, match=r"user is missing.*user.txt"):
        SchemaPreprocessor(schema)


def test_a_vocabulary_that_changed_since_the_fit_is_an_error(tmp_path):
    schema = samples.click_schema(tmp_path)
    path = Path(schema.vocabularies["user"].path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(reversed(lines)) + "\n")
    with pytest.raises(ValueError, match=r"user.*is not the one that the schema"):
        SchemaPreprocessor(schema)
    path.unlink()
    with pytest.raises(ValueError, match=r"user.*is missing"):
        SchemaPreprocessor(schema)
