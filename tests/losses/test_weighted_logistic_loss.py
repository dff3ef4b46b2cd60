"""Weighted logistic regression on watch times."""

import keras
import numpy as np
import pytest

from keras_recs.losses import WeightedLogisticLoss
from tests import numpy_reference

RNG = np.random.default_rng(0)
TIMES = np.maximum(RNG.normal(size=12), 0).astype("float32") * 40
TIMES[0] = 0
LOGITS = RNG.normal(size=12, scale=3).astype("float32")


def test_against_the_sigmoid_as_it_is_written():
    loss = WeightedLogisticLoss()(TIMES[:, None], np.exp(LOGITS)[:, None])
    expected = numpy_reference.weighted_logistic(TIMES, np.exp(LOGITS))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def gradient(times, logits, clip=30.0):
    """Of the summed loss by the logits, through e^z as the head makes it."""
    import tensorflow as tf

    logits = tf.constant(np.reshape(logits, (-1, 1)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        predictions = tf.exp(tf.clip_by_value(logits, -clip, clip))
        times = np.reshape(times, (-1, 1)).astype("float32")
        loss = WeightedLogisticLoss("sum")(times, predictions)
    return float(loss), tape.gradient(loss, logits).numpy()[:, 0]


def test_gradient_by_the_logit():
    """−T·(1 − σ(z)) where it was watched, σ(z) where not."""
    _, found = gradient(TIMES, LOGITS)
    p = numpy_reference.sigmoid(LOGITS)
    expected = np.where(TIMES > 0, -TIMES * (1 - p), p)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("z", [-1e30, -30, -20, 20, 30, 1e30])
@pytest.mark.parametrize("time", [0.0, 1e-3, 1e6])
def test_extreme_logits_have_a_finite_loss_and_gradient(time, z):
    loss, (found,) = gradient([time], [z])
    bounded = np.clip(z, -30.0, 30.0)
    expected = time * np.log1p(np.exp(-bounded)) if time else np.log1p(np.exp(bounded))
    assert loss == pytest.approx(expected, rel=1e-5)
    p = numpy_reference.sigmoid(bounded)
    expected = -time * numpy_reference.sigmoid(-bounded) if time else p
    # Beyond the bounds the head is flat.
    assert found == pytest.approx(expected if abs(z) <= 30 else 0, rel=1e-4)


@pytest.mark.parametrize("prediction", [0.0, 1e-45, 3e38])
@pytest.mark.parametrize("time", [0.0, 7.0])
def test_any_prediction_has_a_finite_loss(time, prediction):
    loss = WeightedLogisticLoss()(np.array([[time]]), np.array([[prediction]]))
    assert np.isfinite(float(loss))


def test_the_odds_that_minimize_it():
    """Σ T / (N − k): watch times 3 and 6 of 5 impressions give 9 / 3."""
    times = np.array([3.0, 6.0, 0, 0, 0])

    def mean_loss(y):
        return float(WeightedLogisticLoss()(times[:, None], np.full((5, 1), y)))

    assert mean_loss(3.0) < min(mean_loss(2.9), mean_loss(3.1))
    _, found = gradient(times, np.full(5, np.log(3.0)))
    assert found.sum() == pytest.approx(0, abs=1e-5)


def test_shapes_and_weights():
    loss = WeightedLogisticLoss()
    predictions = np.exp(LOGITS)
    wide = float(loss(TIMES[:, None], predictions[:, None]))
    assert float(loss(TIMES, predictions)) == pytest.approx(wide)
    # A flat label beside a column is one pair an example, not all pairs.
    assert float(loss(TIMES, predictions[:, None])) == pytest.approx(wide)
    one = loss(TIMES[:1], predictions[:1, None])
    assert float(one) == pytest.approx(
        numpy_reference.weighted_logistic(TIMES[:1], predictions[:1]), rel=1e-5
    )
    weights = RNG.uniform(size=12).astype("float32")
    weighted = sum(
        weight * numpy_reference.weighted_logistic([time], [prediction])
        for weight, time, prediction in zip(weights, TIMES, predictions)
    )
    found = loss(TIMES[:, None], predictions[:, None], sample_weight=weights)
    assert float(found) == pytest.approx(weighted / 12, rel=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_it_computes_in_float32(policy):
    keras.config.set_dtype_policy(policy)
    found = WeightedLogisticLoss()(TIMES[:, None], np.exp(LOGITS)[:, None])
    assert found.dtype == "float32"
    expected = numpy_reference.weighted_logistic(TIMES, np.exp(LOGITS))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_config():
    loss = WeightedLogisticLoss("sum", name="watch")
    config = keras.losses.serialize(loss)
    assert config["registered_name"] == "keras_recs>WeightedLogisticLoss"
    copy = keras.losses.deserialize(config)
    assert copy.get_config() == loss.get_config()
    assert (copy.reduction, copy.name) == ("sum", "watch")
