"""x, x² and √x."""

import numpy as np
import pytest

from keras_recs.layers import PowerFeatures

X = np.array([[0.25, 0.0, 1.0], [-4.0, 1e-8, 9.0]], "float32")


def test_values():
    expected = np.concatenate([X, X * X, np.sign(X) * np.sqrt(np.abs(X))], axis=1)
    found = PowerFeatures()(X)
    assert tuple(found.shape) == (2, 9)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("x", [0.0, 0.25, -0.25])
def test_gradients_are_finite(x):
    """1, 2x and 1 / (2√|x|), but 0 for the root of 0."""
    import tensorflow as tf

    inputs = tf.constant([[x]])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = PowerFeatures()(inputs)
    found = tape.jacobian(outputs, inputs).numpy().reshape(-1)
    root = 0.5 / np.sqrt(abs(x)) if x else 0
    np.testing.assert_allclose(found, [1, 2 * x, root], rtol=1e-6)


def test_no_row_becomes_no_row():
    assert tuple(PowerFeatures()(X[:0]).shape) == (0, 9)
    assert tuple(PowerFeatures()(X[:1]).shape) == (1, 9)
