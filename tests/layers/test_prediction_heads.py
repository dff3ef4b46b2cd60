"""One output a label."""

import numpy as np
import pytest

from keras_recs.layers import PredictionHeads
from tests.numpy_reference import sigmoid

RNG = np.random.default_rng(0)
LEFT, RIGHT = RNG.normal(size=(2, 4, 3)).astype("float32")
ONE = RNG.normal(size=(4, 1)).astype("float32")
TWO = RNG.normal(size=(4, 2)).astype("float32")
TASKS = {"click": "binary", "price": "regression"}


def test_values():
    layer = PredictionHeads(TASKS)
    outputs = layer([LEFT, RIGHT], logits=[ONE, TWO])
    kernel, bias = layer.get_weights()
    logits = np.concatenate([LEFT, RIGHT], 1) @ kernel + bias + ONE + TWO
    assert list(outputs) == list(TASKS)
    np.testing.assert_allclose(outputs["click"], sigmoid(logits[:, :1]), rtol=1e-5)
    np.testing.assert_allclose(outputs["price"], logits[:, 1:], rtol=1e-4)


def test_watch_times():
    """e^z, and z is clipped to ±30."""
    logits = np.array([[-1e9], [-30], [0], [2.5], [30], [31], [1e9]], "float32")
    outputs = PredictionHeads({"watch": "watch_time"})([], logits=[logits])
    assert outputs["watch"].dtype == "float32"
    expected = np.exp(np.clip(logits.astype("float64"), -30, 30))
    np.testing.assert_allclose(outputs["watch"], expected, rtol=1e-5)


def test_towers_or_logits_alone():
    layer = PredictionHeads({"click": "binary"})
    kernel, bias = (layer([LEFT]), layer.get_weights())[1]
    np.testing.assert_allclose(
        layer([LEFT])["click"], sigmoid(LEFT @ kernel + bias), rtol=1e-5
    )
    layer = PredictionHeads(TASKS)
    outputs = layer([], logits=[TWO])
    assert layer.weights == []
    np.testing.assert_allclose(outputs["click"], sigmoid(TWO[:, :1]), rtol=1e-5)
    np.testing.assert_array_equal(outputs["price"], TWO[:, 1:])
    # A logit of one column is that of every label.
    outputs = PredictionHeads(TASKS)([], logits=[ONE])
    np.testing.assert_array_equal(outputs["price"], ONE)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_float32_whatever_the_policy(policy):
    """bfloat16 has no number between 0.996 and 1."""
    import keras

    keras.config.set_dtype_policy(policy)
    outputs = PredictionHeads({"click": "binary"})(
        [], logits=[np.array([[7.0], [7.5]], "float32")]
    )
    assert outputs["click"].dtype == "float32"
    np.testing.assert_allclose(outputs["click"], sigmoid([[7.0], [7.5]]), rtol=1e-6)


FUNNEL = {"click": "binary", "cart": "binary", "order": "binary"}
GIVEN = {"order": "cart", "cart": "click"}


def test_products_of_any_size():
    """Against products of float64, from e^-84 to 1 within a rounding."""
    values = [-28.0, -9.0, 0.0, 3.0, 60.0]
    logits = np.array([[a, b, c] for a in values for b in values for c in values])
    outputs = PredictionHeads(FUNNEL, GIVEN)([], logits=[logits.astype("float32")])
    click, cart, order = sigmoid(logits).T
    np.testing.assert_allclose(outputs["cart"][:, 0], click * cart, rtol=1e-5)
    np.testing.assert_allclose(outputs["order"][:, 0], click * cart * order, rtol=2e-5)
    np.testing.assert_allclose(outputs["order_given_cart"][:, 0], order, rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float16"])
def test_a_funnel_in_half_precision(policy):
    import keras
    import tensorflow as tf

    keras.config.set_dtype_policy(policy)
    logits = tf.constant([[-60.0, -60.0], [0, 0], [60, 60], [-60, 60]], tf.float16)
    heads = PredictionHeads({"click": "binary", "order": "binary"}, {"order": "click"})
    for label in (0.0, 1.0):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            outputs = heads([], logits=[logits])
            truth = tf.fill((4, 1), label)
            loss = keras.losses.binary_crossentropy(truth, outputs["order"])
        assert all(np.isfinite(value).all() for value in outputs.values())
        assert np.isfinite(loss).all()
        assert np.isfinite(tape.gradient(loss, logits)).all()


def test_a_layer_of_logits_alone_is_saved_without_towers(tmp_path):
    """Keras would take the shape of the logits for that of the towers."""
    import keras

    inputs = keras.Input((2,), name="x")
    model = keras.Model(inputs, PredictionHeads(TASKS)([], logits=[inputs]))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.weights == []
    np.testing.assert_array_equal(loaded(TWO)["price"], model(TWO)["price"])


def test_messages():
    with pytest.raises(ValueError, match="`tasks` must name at least one label"):
        PredictionHeads({})
    with pytest.raises(
        ValueError, match=r"Label 'y': its task must be one of .*'multiclass'"
    ):
        PredictionHeads({"y": "multiclass"})
    for circle in ({"cart": "order", "order": "cart"}, {"cart": "cart"}):
        for given in (circle, {**circle, "click": "cart"}):
            with pytest.raises(ValueError, match=r"lead in a circle.*given=\{"):
                PredictionHeads(FUNNEL, given)
    with pytest.raises(ValueError, match="'heads' needs towers or logits"):
        PredictionHeads(TASKS, name="heads").build()
