"""Pooling of a set, against loops."""

import numpy as np
import pytest

from keras_recs.layers.embedding.pool import pool
from keras_recs.schema import COMBINERS
from tests import numpy_reference

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(4, 5, 3)).astype("float32")
MASK = np.array(
    [[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 1, 0, 0]], bool
)


@pytest.mark.parametrize("combiner", COMBINERS)
def test_values(combiner):
    expected = [numpy_reference.pool(v[m], combiner) for v, m in zip(VALUES, MASK)]
    np.testing.assert_allclose(pool(VALUES, MASK, combiner), expected, rtol=1e-5)


@pytest.mark.parametrize("combiner", COMBINERS)
def test_what_is_masked_never_counts(combiner):
    other = np.where(MASK[..., None], VALUES, 1e6).astype("float32")
    expected = pool(VALUES, MASK, combiner)
    np.testing.assert_array_equal(pool(other, MASK, combiner), expected)


@pytest.mark.parametrize("combiner", COMBINERS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(combiner, dtype):
    import tensorflow as tf

    values = tf.cast(VALUES, dtype)
    pooled = pool(values, tf.constant(MASK), combiner)
    assert pooled.dtype == dtype
    expected = [numpy_reference.pool(v[m], combiner) for v, m in zip(VALUES, MASK)]
    np.testing.assert_allclose(np.asarray(pooled, "float32"), expected, atol=0.03)


@pytest.mark.parametrize("combiner", COMBINERS)
def test_the_gradient_of_an_empty_set_is_zero(combiner):
    import tensorflow as tf

    values = tf.Variable(VALUES)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(pool(values, tf.constant(MASK), combiner)))
    gradient = tape.gradient(loss, values).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[~MASK] == 0).all()
    assert (gradient[MASK] != 0).any()


@pytest.mark.parametrize("combiner", ["mean", "sqrtn"])
def test_large_weights_in_half_precision(combiner):
    """Their squares and sums are beyond float16; their ratios are not."""
    weights = np.full(MASK.shape, 300.0, "float32")
    expected = [numpy_reference.pool(v[m], combiner) for v, m in zip(VALUES, MASK)]
    pooled = pool(VALUES.astype("float16"), MASK, combiner, weights)
    np.testing.assert_allclose(pooled, expected, rtol=2e-3, atol=2e-3)
