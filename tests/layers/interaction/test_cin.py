"""Products with the fields themselves, never across the embedding dimension."""

import keras
import numpy as np
import pytest

from keras_recs.layers import CIN
from tests import numpy_reference

RNG = np.random.default_rng(0)
FIELDS = RNG.normal(size=(4, 3, 5)).astype("float32")


@pytest.mark.parametrize("activation", [None, "tanh"])
@pytest.mark.parametrize("split_half", [False, True])
@pytest.mark.parametrize("sizes", [(3,), (4, 2), (4, 2, 3), (2, 4, 3)])
def test_against_loops(sizes, split_half, activation):
    """Linear maps that no layer reads are computed another way than the others."""
    layer = CIN(sizes, split_half, activation=activation)
    layer.build(FIELDS.shape)
    layer.set_weights([RNG.normal(size=w.shape) for w in layer.get_weights()])
    kernels = numpy_reference.cin_kernels(layer, 3)
    function = np.tanh if activation else lambda maps: maps
    expected = [
        numpy_reference.cin(fields, kernels, split_half, function) for fields in FIELDS
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


def test_the_maps_of_the_first_half_go_on():
    """Of (1, 2) and (3, 4): 1 and 10 times the squared sums, then 1 times (4, 6)."""
    layer = CIN((2, 1), split_half=True, kernel_initializer="ones")
    layer.build((None, 2, 2))
    first, second = layer.kernels
    first.assign(np.ones((4, 2)) * [1.0, 10.0])
    assert first.shape == (4, 2) and second.shape == (2, 1)
    fields = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    np.testing.assert_allclose(layer(fields), [[10 * (16 + 36), 64 + 216]])


def test_the_order_of_fields_needs_the_kernel():
    """A pair of fields meets the weight of its own place, not of a neighbour's."""
    layer = CIN((1,))
    layer.build((None, 3, 5))
    kernel = np.zeros((3, 3))
    kernel[0, 2] = 1.0
    layer.kernels[0].assign(kernel.reshape(-1, 1))
    expected = np.sum(FIELDS[:, 0] * FIELDS[:, 2], axis=-1, keepdims=True)
    np.testing.assert_allclose(layer(FIELDS), expected, rtol=1e-5)


def test_any_embedding_dimension():
    """The number of dimensions may be unknown until the call."""
    import tensorflow as tf

    layer = CIN((4, 3), activation="tanh")
    spec = tf.TensorSpec((None, 3, None))
    outputs = tf.function(layer, input_signature=[spec])(FIELDS)
    np.testing.assert_allclose(outputs, layer(FIELDS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", [None, 1])
def test_kernels_start_apart(seed):
    initializer = keras.initializers.GlorotUniform(seed)
    layer = CIN((3, 3, 3), kernel_initializer=initializer)
    layer.build((None, 3, 5))
    first, second, _ = layer.get_weights()
    assert not np.allclose(first, second)


def test_messages():
    for sizes in ((), 8, (4.5,)):
        with pytest.raises(ValueError, match="`layer_sizes` must be one or more posit"):
            CIN(sizes)
    with pytest.raises(ValueError, match="`split_half` needs even `layer_sizes`"):
        CIN((3, 2), split_half=True)
    with pytest.raises(ValueError, match=r"CIN must have shape \(batch, fields, dim\)"):
        CIN()(keras.KerasTensor((2, 3)))
