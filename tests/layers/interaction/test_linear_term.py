"""One weight per value, against loops."""

import numpy as np
import pytest

from keras_recs.layers import LinearTerm, TableConfig
from tests import numpy_reference

TABLES = [TableConfig("item", 6, 9), TableConfig("tag", 5, 9)]
FEATURES = {"item": "item", "tags": "tag", "history": "item"}
COMBINERS = {"tags": "mean", "history": "sum"}
INPUTS = {
    "item": np.array([1, 5, 99]),
    "tags": np.array([[1, 2], [0, 0], [4, 0]]),
    "history": np.array([[2, 3, 0], [5, 5, 5], [0, 0, 0]]),
}
NUMBERS = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")


def randomized(layer):
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def built():
    layer = LinearTerm(TABLES, FEATURES, COMBINERS)
    layer(INPUTS, numbers=NUMBERS)
    return layer


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("num_shards", [1, 2])
def test_values(units, num_shards):
    layer = LinearTerm(TABLES, FEATURES, COMBINERS, units, num_shards)
    layer(INPUTS, numbers=NUMBERS)
    outputs = randomized(layer)(INPUTS, numbers=NUMBERS)
    expected = [
        numpy_reference.linear(layer, {n: v[i] for n, v in INPUTS.items()}, NUMBERS[i])
        for i in range(3)
    ]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5)


def test_values_that_are_weighed():
    """Under "sum" it is w·x of real-valued x, as of numbers."""
    weights = np.array([[2.0, -1.0], [3.0, 4.0], [np.nan, 5.0]], "float32")
    inputs = {**INPUTS, "tag_weight": weights}
    for combiner in ("sum", "mean", "sqrtn"):
        combiners = {**COMBINERS, "tags": combiner}
        layer = LinearTerm(
            TABLES, FEATURES, combiners, value_weights={"tags": "tag_weight"}
        )
        layer(inputs)
        outputs = randomized(layer)(inputs)
        expected = [
            numpy_reference.linear(layer, {n: v[i] for n, v in inputs.items()}, ())
            for i in range(3)
        ]
        np.testing.assert_allclose(outputs, expected, rtol=1e-5)
    layer = LinearTerm(
        [TableConfig("tag", 5, 1)],
        {"tags": "tag"},
        {"tags": "sum"},
        value_weights={"tags": "tag_weight"},
    )
    layer(inputs)
    table = np.array([[0.0], [1.0], [10.0], [100.0], [7.0]])
    layer.set_weights([np.array([0.5]), table])
    expected = [[2.0 * 1 - 1.0 * 10 + 0.5], [0.5], [0.5]]
    np.testing.assert_allclose(layer(inputs), expected)


def test_it_starts_at_zero():
    layer = LinearTerm(TABLES, FEATURES, COMBINERS)
    assert layer(INPUTS, numbers=NUMBERS).numpy().tolist() == [[0.0]] * 3


def test_without_numbers_and_with_numbers_alone():
    layer = LinearTerm(TABLES, {"item": "item"})
    layer(INPUTS)
    randomized(layer)
    table = np.asarray(layer.weight_of_value.shards[0])
    expected = table[[1, 5, 1]] + np.asarray(layer.bias)  # row 99 is out of vocabulary
    np.testing.assert_allclose(layer(INPUTS), expected, rtol=1e-6)
    layer = LinearTerm([], {})
    layer(INPUTS, numbers=NUMBERS)
    randomized(layer)
    expected = NUMBERS @ np.asarray(layer.kernel) + np.asarray(layer.bias)
    np.testing.assert_allclose(layer(INPUTS, numbers=NUMBERS), expected, rtol=1e-5)


def test_the_regularizer_leaves_the_bias_out():
    layer = LinearTerm(TABLES, FEATURES, COMBINERS, kernel_regularizer="l2")
    layer(INPUTS, numbers=NUMBERS)
    layer.set_weights([np.ones(w.shape) for w in layer.get_weights()])
    assert float(sum(layer.losses)) == pytest.approx(0.01 * (6 + 5 + 2))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(policy):
    """A logit: it keeps the digits of its weights, and takes any float32 number."""
    import keras

    numbers = np.array([[1e5, 1.0], [-3e9, 2.0], [0.0, 1e-9]], "float32")
    layer = randomized(built())
    expected = layer(INPUTS, numbers=numbers)
    keras.config.set_dtype_policy(policy)
    half = built()
    half.set_weights(layer.get_weights())
    outputs = half(INPUTS, numbers=numbers)
    assert outputs.dtype == "float32"
    np.testing.assert_array_equal(outputs, expected)


def test_messages():
    layer = LinearTerm(TABLES, FEATURES, {"tags": "mean"}, name="wide")
    with pytest.raises(
        ValueError,
        match="'history' of layer 'wide' has several values and needs a combiner",
    ):
        layer(INPUTS)
    with pytest.raises(ValueError, match=r"called without features \['item'\]"):
        LinearTerm(TABLES, {"item": "item"})({"tags": INPUTS["tags"]})
    with pytest.raises(ValueError, match="Feature 'item' names a table"):
        LinearTerm(TABLES[1:], {"item": "item"})(INPUTS)
