"""Softmax of a bilinear form, against loops."""

import keras
import numpy as np
import pytest

from keras_recs.layers import BilinearAttention
from tests import numpy_reference

RNG = np.random.default_rng(0)
QUERY = RNG.normal(size=(3, 2)).astype("float32")
STATES = RNG.normal(size=(3, 4, 5)).astype("float32")
MASK = np.array([[1, 1, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]], bool)


def test_against_loops():
    layer = BilinearAttention()
    weights = np.asarray(layer([QUERY, STATES, MASK]))
    kernel = np.asarray(layer.kernel, "float64")
    assert kernel.shape == (5, 2)
    for row in range(2):
        there = STATES[row][MASK[row]]
        expected = numpy_reference.softmax([h @ kernel @ QUERY[row] for h in there])
        np.testing.assert_allclose(weights[row][MASK[row]], expected, rtol=1e-5)
    full = layer([QUERY, STATES])
    np.testing.assert_allclose(full[:1], weights[:1], rtol=1e-6)
    np.testing.assert_allclose(np.sum(full, axis=1), np.ones(3), rtol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_padding_weighs_exactly_zero(policy):
    keras.config.set_dtype_policy(policy)
    wild = np.where(MASK[..., None], STATES, 100).astype("float32")
    weights = np.asarray(BilinearAttention()([QUERY, wild, MASK]))
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights[~MASK], 0)
    np.testing.assert_allclose(weights.sum(axis=1), [1, 1, 0], rtol=1e-5)


@pytest.mark.parametrize("shapes", [[(3, 2)], [(3, 2), (3, 4)], [(3, 2), (3, 4, None)]])
def test_shapes(shapes):
    with pytest.raises(ValueError, match="The inputs of BilinearAttention must be"):
        BilinearAttention().build(shapes)
