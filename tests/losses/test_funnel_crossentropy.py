"""Cross-entropy of rare events at the end of a funnel."""

import keras
import numpy as np
import pytest

from keras_recs.layers import PredictionHeads
from keras_recs.losses import FunnelCrossentropy
from tests.numpy_reference import sigmoid

Z = np.log(10**-4.5 / (1 - 10**-4.5))  # twice of it are 1e-9
LOGITS = np.array([[Z, Z], [Z, Z], [-9, -9], [-9, 4], [0, 0], [-20, -20], [3, -1]])
LABELS = np.array([1, 0, 1, 1, 0, 1, 0], "float32")[:, None]
HEADS = {"click": "binary", "order": "binary"}
LOSSES = {
    "ours": FunnelCrossentropy("none"),
    "Keras's": keras.losses.BinaryCrossentropy(reduction="none"),
}


def closed_form():
    """−y·log p − (1 − y)·log(1 − p) of p = σ(a)·σ(b), and its gradient by a and b."""
    logits, y = LOGITS.astype("float64"), LABELS[:, 0]
    steps = sigmoid(logits)  # (B, 2)
    p = steps.prod(axis=1)
    loss = np.where(y == 1, -np.log(p), -np.log1p(-p))
    own = np.where(y == 1, -1.0, p / (1 - p))  # of log p
    return loss, own[:, None] * (1 - steps)


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(
    ("loss", "has_logits"), [("ours", True), ("Keras's", True), ("ours", False)]
)
def test_gradients_of_both_towers(loss, has_logits, graph):
    """Without the logits it is as under JAX: of the probability alone."""
    import tensorflow as tf

    inputs = keras.Input((2,))
    heads = PredictionHeads(HEADS, {"order": "click"})([], logits=[inputs])
    model = keras.Model(inputs, heads)

    def step(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            p = model(logits)["order"]
            if not has_logits:
                p = tf.maximum(p, 0.0)  # another operation
            values = LOSSES[loss](LABELS, p)
        return values, tape.gradient(values, logits)

    step = tf.function(step) if graph else step
    values, gradients = step(tf.constant(LOGITS, tf.float32))
    expected, slopes = closed_form()
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    np.testing.assert_allclose(gradients, slopes, rtol=1e-4)


@pytest.mark.parametrize("p", [0.0, 1e-45, 1e-9, 0.5, 1.0])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_any_probability_has_a_finite_loss(p, y):
    assert np.isfinite(float(FunnelCrossentropy()(np.array([[y]]), np.array([[p]]))))


def test_weights_reduction_and_config():
    p, y = np.array([0.2, 0.4, 1e-20]), np.array([0.0, 1.0, 1.0])
    weights = np.array([1.0, 0.0, 2.0])
    expected = -(np.log(0.8) + 2 * np.log(1e-20)) / 3
    for truth in (y, y[:, None]):
        found = FunnelCrossentropy()(truth, p[:, None], weights)
        assert float(found) == pytest.approx(expected, rel=1e-5)
    config = keras.losses.serialize(FunnelCrossentropy("sum", name="order"))
    again = keras.losses.deserialize(config)
    assert isinstance(again, FunnelCrossentropy)
    assert (again.reduction, again.name) == ("sum", "order")
