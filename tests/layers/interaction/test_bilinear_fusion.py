"""Products of two vectors, head by head."""

import keras
import numpy as np
import pytest

from keras_recs.layers import BilinearFusion
from tests import numpy_reference

RNG = np.random.default_rng(0)
FIRST = RNG.normal(size=(3, 6)).astype("float32")
SECOND = RNG.normal(size=(3, 4)).astype("float32")


def random_layer(*arguments):
    layer = BilinearFusion(*arguments)
    layer.build([FIRST.shape, SECOND.shape])
    layer.set_weights([RNG.normal(size=w.shape) for w in layer.get_weights()])
    return layer


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("units", [1, 3])
def test_against_loops(units, heads):
    layer = random_layer(units, heads)
    outputs = layer([FIRST, SECOND])
    assert outputs.shape == (3, units)
    for row in range(3):
        expected = numpy_reference.bilinear_fusion_layer(layer, FIRST[row], SECOND[row])
        np.testing.assert_allclose(outputs[row], expected, rtol=1e-4, atol=1e-5)


def test_by_hand():
    """5 + (1 + 2) + (3 + 4) + 1·3 + 2·4 with heads, and (1 + 2)·(3 + 4) without."""
    pair = [np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])]
    for heads, expected in ((2, 5 + 3 + 7 + 11), (1, 5 + 3 + 7 + 21)):
        layer = BilinearFusion(num_heads=heads, kernel_initializer="ones")
        layer.build([(1, 2), (1, 2)])
        layer.bias.assign([5.0])
        np.testing.assert_allclose(layer(pair), [[expected]])


def test_heads_do_not_meet():
    layer = random_layer(1, 2)
    for kernel in (layer.first_kernel, layer.second_kernel, layer.bias):
        kernel.assign(np.zeros(kernel.shape))
    first, second = FIRST.copy(), SECOND.copy()
    first[:, 3:], second[:, :2] = 0, 0  # the first head here, the second there
    np.testing.assert_array_equal(layer([first, second]), np.zeros((3, 1)))


def test_the_products_start_small_enough_for_their_number():
    """8,000 products of numbers of size 1 give logits of size 1, not of size 5."""
    layer = BilinearFusion(num_heads=5)
    layer.build([(None, 400), (None, 100)])
    deviation = np.std(np.asarray(layer.products))
    np.testing.assert_allclose(deviation, np.sqrt(2 / 8001), rtol=0.05)


@pytest.mark.parametrize("seed", [None, 0])
def test_kernels_start_apart(seed):
    initializer = keras.initializers.GlorotUniform(seed)
    layer = BilinearFusion(3, kernel_initializer=initializer)
    layer.build([(None, 6), (None, 6)])
    assert not np.allclose(layer.first_kernel, layer.second_kernel)


def test_a_function_as_initializer():
    layer = BilinearFusion(kernel_initializer=lambda shape, dtype: np.ones(shape))
    layer.build([(None, 6), (None, 4)])
    assert np.asarray(layer.products).tolist() == [[1.0]] * 24


def test_messages():
    for name in ("units", "num_heads"):
        with pytest.raises(ValueError, match=f"`{name}` must be a positive integer"):
            BilinearFusion(**{name: 0})
    with pytest.raises(ValueError, match=r"`num_heads` must divide .*=6 and 4"):
        BilinearFusion(num_heads=3)([FIRST, SECOND])
    with pytest.raises(ValueError, match="BilinearFusion must be a pair"):
        BilinearFusion()(keras.KerasTensor((2, 3)))
