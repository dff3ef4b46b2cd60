"""x₀ (xᵀ w) + b + x, with the bias outside."""

import keras
import numpy as np
import pytest

from keras_recs.layers import VectorCrossLayer
from tests import numpy_reference

RNG = np.random.default_rng(0)
X0 = RNG.normal(size=(4, 5)).astype("float32")
X = RNG.normal(size=(4, 5)).astype("float32")


def test_against_loops():
    layer = VectorCrossLayer()
    layer.build([X0.shape, X.shape])
    layer.set_weights([RNG.normal(size=w.shape) for w in layer.get_weights()])
    weights, bias = np.asarray(layer.kernel)[:, 0], np.asarray(layer.bias)
    expected = [
        numpy_reference.vector_cross(x0, x, weights, bias) for x0, x in zip(X0, X)
    ]
    np.testing.assert_allclose(layer([X0, X]), expected, rtol=1e-4, atol=1e-5)


def test_the_bias_is_not_multiplied():
    layer = VectorCrossLayer(kernel_initializer="zeros")
    layer.build([X0.shape, X.shape])
    layer.bias.assign(np.full(5, 2.0))
    np.testing.assert_allclose(layer([X0, X]), X + 2, rtol=1e-6)


def test_shapes():
    with pytest.raises(ValueError, match=r"VectorCrossLayer must be the pair"):
        VectorCrossLayer()([keras.KerasTensor((2, 3)), keras.KerasTensor((2, 4))])
