"""A GRU with attention in its update gate, against loops and Keras's GRU."""

import keras
import numpy as np
import pytest

from keras_recs.layers import AUGRU
from tests import numpy_reference

RNG = np.random.default_rng(0)
STEPS = RNG.normal(size=(4, 5, 3)).astype("float32")
SHARES = RNG.uniform(size=(4, 5)).astype("float32")
MASK = np.array(
    [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]], bool
)


def augru():
    layer = AUGRU(6)
    layer.build([STEPS.shape, SHARES.shape])
    for weight in layer.weights:
        weight.assign(RNG.normal(size=weight.shape))
    return layer


def test_against_loops():
    layer = augru()
    weights = [np.asarray(weight, "float64") for weight in layer.weights]
    expected = [
        numpy_reference.augru(steps[mask], shares[mask], weights)
        for steps, shares, mask in zip(STEPS, SHARES, MASK)
    ]
    outputs = layer([STEPS, SHARES, MASK])
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(outputs[3], np.zeros(6))


def test_attended_to_in_full_it_is_a_gru():
    layer = augru()
    gru = keras.layers.GRU(6)
    gru.build(STEPS.shape)
    gru.set_weights(layer.get_weights())
    ones = np.ones_like(SHARES)
    for mask in (None, MASK):
        inputs = [STEPS, ones] if mask is None else [STEPS, ones, mask]
        expected = gru(STEPS, mask=mask)
        np.testing.assert_allclose(layer(inputs), expected, rtol=1e-5, atol=1e-6)


def test_not_attended_to_the_state_does_not_move():
    layer = augru()
    zeros = np.zeros_like(SHARES)
    np.testing.assert_array_equal(layer([STEPS, zeros]), np.zeros((4, 6)))
    # Steps without weight behind others change nothing, to the last bit.
    shares = SHARES.copy()
    shares[:, 3:] = 0
    outputs = layer([STEPS, shares])
    np.testing.assert_array_equal(outputs, layer([STEPS[:, :3], SHARES[:, :3]]))


def test_more_attention_moves_the_state_further():
    """A gate turned round would do the opposite."""
    layer = augru()
    step = STEPS[:, :1]
    far = [
        np.abs(layer([step, np.full((4, 1), share, "float32")])).sum()
        for share in (0.1, 0.5, 1.0)
    ]
    np.testing.assert_allclose(far, far[2] * np.array([0.1, 0.5, 1.0]), rtol=1e-5)


def test_padding_on_any_side():
    layer = augru()
    outputs = layer([STEPS[:, :3], SHARES[:, :3]])
    for sides in ((0, 2), (2, 0), (1, 1)):
        steps = np.pad(STEPS[:, :3], ((0, 0), sides, (0, 0)), constant_values=9)
        shares = np.pad(SHARES[:, :3], ((0, 0), sides), constant_values=1)
        mask = np.pad(np.ones((4, 3), bool), ((0, 0), sides))
        found = layer([steps, shares, mask])
        np.testing.assert_allclose(found, outputs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "shapes",
    [[(2, 5, 3)], [(2, 5, 3), (2, 5, 1)], [(2, 5), (2, 5)], [(2, 5, 3), (2,), (2, 5)]],
)
def test_shapes(shapes):
    with pytest.raises(ValueError, match="The inputs of AUGRU must be"):
        AUGRU(4).build(shapes)


@pytest.mark.parametrize("units", [0, -2, 2.5])
def test_units(units):
    with pytest.raises(ValueError, match=r"`units` must be .* Received: units="):
        AUGRU(units)
