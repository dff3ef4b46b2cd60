"""Dot products of all pairs, in order."""

import numpy as np
import pytest

from keras_recs.layers import DotInteraction
from tests import numpy_reference

FIELDS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")


def test_the_order_of_the_pairs():
    fields = np.array([[[1.0, 0.0], [2.0, 0.0], [4.0, 1.0]]])
    assert DotInteraction()(fields).numpy().tolist() == [[2.0, 4.0, 8.0]]  # 10, 20, 21


@pytest.mark.parametrize("training", [False, True])
def test_all_pairs_and_their_gradient(training):
    """∂/∂v_i Σ u_ij⟨v_i, v_j⟩ = Σ_j u_ij v_j, and of its square once more."""
    import tensorflow as tf

    upstream = np.random.default_rng(1).normal(size=(4, 10)).astype("float32")
    weights = np.zeros((4, 5, 5), "float32")
    weights[:, *np.tril_indices(5, -1)] = upstream
    weights += weights.transpose(0, 2, 1)
    fields = tf.constant(FIELDS)
    with tf.GradientTape() as outer:
        outer.watch(fields)
        with tf.GradientTape() as inner:
            inner.watch(fields)
            outputs = DotInteraction()(fields, training=training)
        gradient = inner.gradient(outputs, fields, upstream)
        square = tf.reduce_sum(tf.square(gradient))
    expected = [numpy_reference.dot_pairs(fields) for fields in FIELDS]
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    expected = weights @ FIELDS
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)
    expected = 2 * weights @ expected
    second = outer.gradient(square, fields)
    np.testing.assert_allclose(second, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fields", [2, 3, 27])
def test_size(fields):
    outputs = DotInteraction()(np.ones((2, fields, 4)))
    assert outputs.shape == (2, fields * (fields - 1) // 2)


@pytest.mark.parametrize("shape", [(2, 3), (2, 1, 3), (2, 3, 4, 5), (2, None, 3)])
def test_shapes(shape):
    import keras

    with pytest.raises(
        ValueError, match=r"DotInteraction must have shape .* with two fields or more"
    ):
        DotInteraction()(keras.KerasTensor(shape))
