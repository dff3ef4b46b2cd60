"""The activation of DIN: statistics of the batch, per channel."""

import keras
import numpy as np
import pytest

from keras_recs.layers import MLP, Dice
from tests import numpy_reference

RNG = np.random.default_rng(0)
X = RNG.normal(2.0, 3.0, size=(6, 4)).astype("float32")
ALPHA = np.array([0.0, 0.3, -0.5, 1.0], "float32")


def dice(shape, **arguments):
    layer = Dice(**arguments)
    layer.build(shape)
    layer.alpha.assign(ALPHA)
    return layer


def twin(x, mean, variance, epsilon=1e-9):
    rows = x.reshape(-1, x.shape[-1])
    found = [numpy_reference.dice(s, ALPHA, mean, variance, epsilon) for s in rows]
    return np.reshape(found, x.shape)


def test_training_uses_the_batch_channel_by_channel():
    expected = twin(X, X.mean(axis=0), X.var(axis=0))
    outputs = dice(X.shape)(X, training=True)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_not_the_statistics_of_a_sample():
    """An example's output changes with the others of its batch."""
    layer = dice(X.shape)
    other = np.concatenate([X[:1], 5 + X[1:]])
    first, second = layer(X, training=True)[0], layer(other, training=True)[0]
    assert np.abs(np.asarray(first) - np.asarray(second))[:3].min() > 1e-3


def test_all_axes_but_the_last():
    x = RNG.normal(size=(3, 5, 4)).astype("float32")
    flat = dice(x.shape)(x.reshape(15, 4), training=True)
    outputs = dice(x.shape)(x, training=True)
    np.testing.assert_allclose(outputs, np.reshape(flat, x.shape), rtol=1e-5)


def test_inference_uses_moving_averages():
    layer = dice(X.shape, momentum=0.75)
    before = layer(X)
    np.testing.assert_allclose(before, twin(X, np.zeros(4), np.ones(4)), rtol=1e-4)
    layer(X, training=True)
    mean, variance = 0.25 * X.mean(axis=0), 0.75 + 0.25 * X.var(axis=0)
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-4)
    expected = twin(X, mean, variance)
    np.testing.assert_allclose(layer(X), expected, rtol=1e-4, atol=1e-5)
    # One example alone gives what it gives in the batch.
    np.testing.assert_allclose(layer(X[:1]), expected[:1], rtol=1e-4, atol=1e-5)


def test_padding_does_not_count():
    x = RNG.normal(size=(3, 4, 4)).astype("float32")
    mask = np.array([[1, 1, 0, 0], [0, 0, 0, 1], [1, 1, 1, 0]], bool)
    wild = np.where(mask[..., None], x, 1e3).astype("float32")
    layer = dice(x.shape)
    outputs = np.asarray(layer(wild, training=True, mask=mask))
    there = x[mask]
    expected = twin(there, there.mean(axis=0), there.var(axis=0))
    np.testing.assert_allclose(outputs[mask], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * there.mean(axis=0), rtol=1e-4)


def test_a_batch_of_padding_alone_moves_nothing():
    layer = dice(X.shape)
    outputs = layer(X[:, None], training=True, mask=np.zeros((6, 1), bool))
    assert np.isfinite(outputs).all()
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(4))
    np.testing.assert_array_equal(layer.moving_variance, np.ones(4))


def test_one_example_is_its_own_mean():
    outputs = dice(X.shape)(X[:1], training=True)
    np.testing.assert_allclose(outputs, X[:1] * (1 + ALPHA) / 2, rtol=1e-6)


def test_alpha_is_zero_at_first_and_one_a_channel():
    layer = Dice()
    layer.build((None, 7, 4))
    np.testing.assert_array_equal(layer.alpha, np.zeros(4))
    assert [weight.shape for weight in layer.trainable_weights] == [(4,)]
    assert layer.epsilon == 1e-9


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_statistics_are_float32(policy):
    """Squares of these numbers are infinite in float16."""
    x = (1000 * RNG.normal(size=(64, 4))).astype("float16")
    layer = Dice(dtype=policy)
    outputs = np.asarray(layer(x, training=True), "float32")
    half = np.asarray(keras.ops.cast(x, layer.compute_dtype), "float32")
    np.testing.assert_allclose(layer.moving_mean, 0.1 * half.mean(axis=0), rtol=1e-3)
    expected = 0.9 + 0.1 * half.var(axis=0)
    np.testing.assert_allclose(layer.moving_variance, expected, rtol=1e-3)
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize("activation", ["dice", "prelu"])
def test_a_block_of_an_mlp_has_its_own(activation):
    layer = MLP((5, 3), activation)
    layer.build((None, 7, 4))
    names = [weight.path.split("/", 1)[1] for weight in layer.trainable_weights]
    own = [f"activation_{i}/alpha" for i in range(2)]
    assert [name for name in names if name in own] == own
    shapes = [block[1].alpha.shape[-1] for block in layer.blocks]
    assert shapes == [5, 3]
    assert layer.count_params() - sum(
        block[0].count_params() for block in layer.blocks
    ) == (8 if activation == "prelu" else 3 * 8)
    copy = MLP.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy.activation == activation


@pytest.mark.parametrize("name", ["dice", "prelu"])
def test_each_block_has_a_copy_of_a_layer(name):
    start = keras.initializers.Constant(0.25)
    given = {"dice": Dice, "prelu": keras.layers.PReLU}[name](alpha_initializer=start)
    given.build((None, 9))  # such as for another model
    layer = MLP((5, 3), given)
    copy = MLP.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    named = MLP((5, 3), name)
    for mlp in (layer, copy, named):
        mlp.build((None, 7, 4))
    for mlp in (layer, copy):
        assert [w.path.split("/", 1)[1] for w in mlp.weights] == [
            w.path.split("/", 1)[1] for w in named.weights
        ]
        assert [w.shape for w in mlp.weights] == [w.shape for w in named.weights]
        for block in mlp.blocks:
            np.testing.assert_array_equal(
                block[1].alpha, np.full_like(block[1].alpha, 0.25)
            )


def test_an_mlp_hands_on_the_mask():
    x = RNG.normal(size=(3, 4, 4)).astype("float32")
    mask = np.array([[1, 1, 0, 0], [0, 0, 0, 1], [1, 1, 1, 0]], bool)
    wild = np.where(mask[..., None], x, 1e3).astype("float32")
    layer = MLP((5, 3), "dice", batch_norm=True)
    outputs = np.asarray(layer(wild, training=True, mask=mask))[mask]
    alone = MLP((5, 3), "dice", batch_norm=True)
    alone.build((None, 4))
    alone.set_weights(layer.get_weights())
    expected = np.asarray(alone(x[mask], training=True))
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)


def test_messages():
    with pytest.raises(ValueError, match=r"`momentum` must be .* momentum=1"):
        Dice(momentum=1)
    with pytest.raises(ValueError, match=r"`epsilon` must be positive.* epsilon=0"):
        Dice(epsilon=0)
    with pytest.raises(ValueError, match="The mask of Dice must have the shape"):
        Dice()(X, training=True, mask=np.ones((6, 4), bool))
    for name in ("Dice", "PReLU"):
        message = f"`activation` is spelled '{name.lower()}'.*activation='{name}'"
        with pytest.raises(ValueError, match=message):
            MLP((4,), name)
    with pytest.raises(
        TypeError, match=r"not a class: give `Dice\(\)`.*activation=<cl"
    ):
        MLP((4,), Dice)
