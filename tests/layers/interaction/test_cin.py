"""Products with the fields themselves, never across the embedding dimension."""

import keras
import numpy as np
import pytest

from keras_recs.layers import CIN
from tests import numpy_reference

RNG = np.random.default_rng(0)
FIELDS = RNG.normal(size=(4, 3, 5)).astype("float32")


@pytest.mark.parametrize("split_half", [False, True])
@pytest.mark.parametrize("sizes", [(3,), (4, 2), (2, 4, 3)])
def test_against_loops(sizes, split_half):
    layer = CIN(sizes, split_half, activation="tanh")
    layer.build(FIELDS.shape)
    layer.set_weights([RNG.normal(size=w.shape) for w in layer.get_weights()])
    kernels = numpy_reference.cin_kernels(layer, 3)
    expected = [
        numpy_reference.cin(fields, kernels, split_half, np.tanh) for fields in FIELDS
    ]
    outputs = layer(FIELDS)
    assert outputs.shape == layer.compute_output_shape(FIELDS.shape)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_two_fields_by_hand():
    """Maps of (1, 2) and (3, 4) with all weights 1: (4, 6)², then times (4, 6)."""
    layer = CIN((1, 1), kernel_initializer="ones")
    fields = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    np.testing.assert_allclose(layer(fields), [[16 + 36, 64 + 216]])


def test_dimensions_do_not_mix():
    """Without the sum over them, what is in one dimension stays there."""
    layer = CIN((4, 3))
    both = layer(FIELDS)
    parts = [FIELDS * (np.arange(5) == d) for d in range(5)]
    np.testing.assert_allclose(
        both, sum(np.asarray(layer(part)) for part in parts), rtol=1e-4, atol=1e-5
    )


def test_a_layer_raises_the_degree_by_one():
    layer = CIN((2, 3))
    one, two = np.asarray(layer(FIELDS)), np.asarray(layer(2 * FIELDS))
    np.testing.assert_allclose(two[:, :2], 4 * one[:, :2], rtol=1e-4)
    np.testing.assert_allclose(two[:, 2:], 8 * one[:, 2:], rtol=1e-4, atol=1e-5)


def test_messages():
    with pytest.raises(ValueError, match="`layer_sizes` must be one or more positive"):
        CIN(())
    with pytest.raises(ValueError, match="`split_half` needs even `layer_sizes`"):
        CIN((3, 2), split_half=True)
    with pytest.raises(ValueError, match=r"CIN must have shape \(batch, fields, dim\)"):
        CIN()(keras.KerasTensor((2, 3)))
