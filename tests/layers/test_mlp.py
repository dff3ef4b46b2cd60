"""Dense layers, against loops."""

import numpy as np
import pytest

from keras_recs.layers import MLP
from tests import numpy_reference

X = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")


@pytest.mark.parametrize(
    ("activation", "function"), [("relu", numpy_reference.relu), ("tanh", np.tanh)]
)
def test_values(activation, function):
    layer = MLP((4, 3), activation)
    outputs = layer(X)
    weights = layer.get_weights()
    expected = numpy_reference.mlp(X, [weights[:2], weights[2:]], function)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_batch_norm_comes_before_the_activation():
    layer = MLP((4,), batch_norm=True)
    outputs = np.asarray(layer(X, training=True))
    kernel, bias = (np.asarray(w) for w in layer.trainable_weights[:2])
    z = X @ kernel + bias
    normal = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
    np.testing.assert_allclose(outputs, np.maximum(normal, 0), rtol=1e-3, atol=1e-4)


def test_dropout_is_for_training_alone():
    layer = MLP((400,), dropout=0.5, seed=1)
    calm = layer(X).numpy()
    np.testing.assert_array_equal(layer(X, training=False), calm)
    dropped = layer(X, training=True).numpy()
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], 2 * calm[kept], rtol=1e-5)
    assert 0.4 < kept[calm != 0].mean() < 0.6


def test_the_seed_holds_and_differs_by_layer():
    import keras

    def dropped(seed):
        keras.utils.set_random_seed(3)
        return MLP((50, 50), dropout=0.5, seed=seed)(X, training=True).numpy()

    np.testing.assert_array_equal(dropped(1), dropped(1))
    assert not np.array_equal(dropped(1), dropped(2))
    layer = MLP((50, 50), dropout=0.5, seed=7)
    layer.build((None, 6))
    seeds = [block[-1].seed for block in layer.blocks]
    assert len(set(seeds)) == 2


def test_leading_dimensions_stay():
    layer = MLP((4,))
    outputs = layer(np.stack([X, X + 1]))
    assert outputs.shape == (2, 5, 4)
    np.testing.assert_allclose(outputs[0], layer(X), rtol=1e-5)


def test_regularizer():
    layer = MLP((4, 3), kernel_regularizer="l2")
    layer(X)
    layer.set_weights([np.ones(w.shape) for w in layer.get_weights()])
    assert float(sum(layer.losses)) == pytest.approx(0.01 * (6 * 4 + 4 * 3))


@pytest.mark.parametrize("hidden_units", [(), (4, 0), (-1,), 8, (4.5,), "84"])
def test_messages(hidden_units):
    with pytest.raises(ValueError, match="`hidden_units` must be one or more positive"):
        MLP(hidden_units)
