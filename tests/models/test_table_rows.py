"""Models whose tables grow in training, from raw strings to rows."""

import keras
import numpy as np
import pytest

from keras_recs import (
    CategoricalFeature,
    Label,
    MultiValuedFeature,
    NumericFeature,
    Schema,
    SequenceFeature,
)
from keras_recs.data import array_dataset
from keras_recs.models import build_inputs, table_rows
from keras_recs.models.find_vocabulary import find_vocabulary
from keras_recs.models.table_rows import vocabulary_names
from tests import harness, numpy_reference

SCHEMA = Schema(
    features=[
        CategoricalFeature("item", max_keys=6, admission_count=2, num_oov=2),
        SequenceFeature("history", table="item", max_length=3),
        MultiValuedFeature("movie tags", max_keys=5),
        CategoricalFeature("hour", vocabulary_size=24),
        NumericFeature("price"),
    ],
    labels=[Label("click")],
)
COLUMNS = {
    "item": ["a", "b", "", "c"],
    "history": [["b", "x"], [], ["b", "b"], ["d", "d"]],
    "movie tags": [["t"], [], ["t", "u"], ["v"]],
    "hour": [1, 2, 3, 4],
    "price": [0.5, 1.0, 1.5, 2.0],
    "click": [0, 1, 0, 1],
}


def batches(columns=COLUMNS, schema=SCHEMA, size=2):
    return array_dataset(columns, schema, size, shuffle=False)


def row_of(model, table="item", schema=SCHEMA):
    """Rows by key."""
    keys, rows, _ = find_vocabulary(model, schema, table).vocabulary()
    return dict(zip(keys.tolist(), rows.tolist(), strict=True))


def key(value):
    return numpy_reference.hash_key(value)


@pytest.fixture(scope="module")
def steps():
    """Inputs of two steps."""
    return [inputs for inputs, _ in batches()]


def rows_model(schema=SCHEMA):
    """From inputs to rows, with a vocabulary of its own."""
    inputs = build_inputs(schema)
    return keras.Model(inputs, table_rows(schema, inputs))


@pytest.mark.parametrize("name", harness.builders())
def test_every_builder_learns_the_keys(name, steps):
    """Called as in two steps; `fit` of one of them is below."""
    model = harness.build_model(name, SCHEMA)
    for values in steps:
        model(values, training=True)
    inputs = {name: tensor.dtype for name, tensor in model.input.items()}
    assert {n for n, dtype in inputs.items() if dtype == "int64"} == {
        "item",
        "history",
        "movie tags",
    }
    # Once a step, though item and history call it: a, c and x were seen once.
    assert row_of(model) == {key("b"): 3, key("d"): 4}
    assert find_vocabulary(model, SCHEMA, "item").clock == 2
    assert row_of(model, "movie tags") == {key("t"): 2, key("u"): 3, key("v"): 4}


def test_a_row_out_of_vocabulary_until_the_second_sighting():
    model = rows_model()
    (first, _), (second, _) = batches()
    model(first, training=True)
    outside = {v: 1 + rest for v, rest in zip("abx", outside_of(model, "abx"))}
    rows = model(first)
    assert rows["item"].numpy().tolist() == [outside["a"], 3]
    assert rows["history"].numpy().tolist() == [[3, outside["x"], 0], [0, 0, 0]]
    assert rows["hour"].numpy().tolist() == [3, 4], "as the preprocessing made them"
    for _ in range(3):
        model(first)
    assert row_of(model) == {key("b"): 3}, "an answer learns nothing"
    rows = model(second, training=True)
    assert rows["item"].numpy().tolist()[0] == 1, "missing, not padding"
    assert rows["history"].numpy().tolist() == [[3, 3, 0], [4, 4, 0]]


def outside_of(model, values):
    """The row out of vocabulary of values, from 0 on: that of an empty map."""
    layer = find_vocabulary(model, SCHEMA, "item")
    empty = type(layer).from_config({**layer.get_config(), "name": "empty"})
    return (empty(np.array([key(v) for v in values])).numpy() - 1).tolist()


def test_a_saved_model_keeps_the_map(tmp_path):
    model = harness.build_model("deepfm", SCHEMA)
    # Two eager steps take less time than tracing the map.
    model.compile("sgd", "binary_crossentropy", run_eagerly=True)
    model.fit(batches(), shuffle=False, verbose=0)
    assert row_of(model) == {key("b"): 3, key("d"): 4}
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert row_of(loaded) == row_of(model)
    (inputs, _), *_ = batches()
    np.testing.assert_array_equal(loaded(inputs)["click"], model(inputs)["click"])


def test_integers_are_taken_as_their_decimal_strings():
    """Of NumPy, of Python, beside a missing one, and as the strings themselves."""
    schema = Schema(features=[CategoricalFeature("user", max_keys=9)])
    expected = [key("7"), key("-3"), key("12345678901")]
    ints = [7, -3, 12345678901]
    for column in (ints, np.array(ints), ["7", "-3", "12345678901"]):
        (inputs, *_), *_ = batches({"user": column}, schema, 3)
        inputs = inputs["user"] if isinstance(inputs, dict) else inputs
        assert inputs.numpy().tolist() == expected
    (inputs, *_), *_ = batches({"user": np.array([7, np.nan])}, schema)
    inputs = inputs["user"] if isinstance(inputs, dict) else inputs
    assert inputs.numpy().tolist() == [key("7"), 0]


def test_rows_of_other_tables_are_the_inputs(click_schema):
    inputs = build_inputs(click_schema)
    assert table_rows(click_schema, inputs) == inputs


def test_names_of_layers_are_those_that_keras_allows():
    names = ["movie tags", "movie_tags", "жанр", "item", "user"]
    features = [CategoricalFeature(name, max_keys=3) for name in names]
    schema = Schema(features=[*features, CategoricalFeature("keys_item", hash_bins=3)])
    found = vocabulary_names(schema)
    assert found["item"] == "keys_item"
    assert list(found) == names
    assert len(set(found.values())) == 5
    model = rows_model(schema)
    for name in names:
        assert find_vocabulary(model, schema, name).name == found[name]


def test_messages():
    model = rows_model()
    with pytest.raises(
        ValueError, match=r"no table 'hour' with `max_keys`.*\['item', 'movie tags'\]"
    ):
        find_vocabulary(model, SCHEMA, "hour")
    other = Schema(features=[CategoricalFeature("user", max_keys=3)])
    with pytest.raises(
        ValueError, match=r"no DynamicVocabulary 'keys_user' for table 'user'"
    ):
        find_vocabulary(model, other, "user")


def test_values_with_weights():
    """A key that is not admitted yet keeps its weight; the padding has none."""
    schema = Schema(
        features=[
            MultiValuedFeature("tags", max_keys=3, weights="keys_tags", combiner="sum")
        ],
        labels=[Label("click")],
    )
    assert vocabulary_names(schema) == {"tags": "keys_tags"}
    columns = {
        "tags": [["a", "", "b"], ["b"], []],
        "keys_tags": [[2.0, 9.0, -1.0], [], []],
        "click": [1, 0, 1],
    }
    model = harness.build_model("logistic_regression", schema)
    model.compile("sgd", "binary_crossentropy", run_eagerly=True)
    model.fit(batches(columns, schema, 3), shuffle=False, verbose=0)
    rows = row_of(model, "tags", schema)
    layer = model.get_layer("linear")
    table = np.array([[0.0], [3.0], [5.0], [7.0], [11.0]])
    layer.weight_of_value.shards[0].assign(table)
    layer.bias.assign([0.0])
    a, b = (table[rows[key(value)], 0] for value in "ab")
    inputs, _ = next(iter(batches(columns, schema, 3)))
    z = np.array([2 * a - b, b, 0.0])
    found = model.predict_on_batch(inputs)["click"][:, 0]
    np.testing.assert_allclose(found, numpy_reference.sigmoid(z), rtol=1e-5)
