"""x₀ ⊙ (W x + b) + x, with the bias inside."""

import keras
import numpy as np
import pytest

from keras_recs.layers import CrossLayer
from tests import numpy_reference

RNG = np.random.default_rng(0)
X0 = RNG.normal(size=(4, 5)).astype("float32")
X = RNG.normal(size=(4, 5)).astype("float32")


@pytest.mark.parametrize("projection_dim", [None, 2])
def test_against_loops(projection_dim):
    layer = CrossLayer(projection_dim)
    layer.build([X0.shape, X.shape])
    layer.set_weights([RNG.normal(size=w.shape) for w in layer.get_weights()])
    weights = np.asarray(layer.dense.kernel)
    if projection_dim is not None:
        weights = np.asarray(layer.down.kernel) @ weights
    bias = np.asarray(layer.dense.bias)
    expected = [numpy_reference.cross(x0, x, weights.T, bias) for x0, x in zip(X0, X)]
    np.testing.assert_allclose(layer([X0, X]), expected, rtol=1e-4, atol=1e-5)


def test_without_weights_it_changes_nothing():
    layer = CrossLayer(kernel_initializer="zeros")
    np.testing.assert_array_equal(layer([X0, X]), X)


def test_the_bias_is_multiplied_by_the_features():
    """DCN v1 adds it as it is."""
    layer = CrossLayer(kernel_initializer="zeros")
    layer.build([X0.shape, X.shape])
    layer.dense.bias.assign(np.full(5, 2.0))
    np.testing.assert_allclose(layer([X0, X]), 2 * X0 + X, rtol=1e-6)


def test_a_layer_raises_the_degree_by_one():
    """Of a polynomial of x₀: l layers give x₀^(l+1) for one feature."""
    layer = CrossLayer(kernel_initializer="ones")
    x0 = np.array([[2.0]])
    assert float(layer([x0, x0])[0, 0]) == 2 * 2 + 2
    x1 = layer([x0, x0])
    assert float(layer([x0, x1])[0, 0]) == 2 * 6 + 6


def test_a_low_rank_takes_fewer_weights():
    layer = CrossLayer(2)
    layer.build([(None, 50), (None, 50)])
    assert layer.count_params() == 2 * 2 * 50 + 50
    up, down = np.asarray(layer.dense.kernel), np.asarray(layer.down.kernel)
    assert not np.allclose(up, down.T)


@pytest.mark.parametrize("shapes", [[(2, 3)], [(2, 3), (2, 4)], [(2, 3)] * 3])
def test_shapes(shapes):
    with pytest.raises(ValueError, match=r"CrossLayer must be the pair \[x0, x\]"):
        CrossLayer()([keras.KerasTensor(shape) for shape in shapes])


def _mixture(num_experts):
    layer = CrossLayer(2, num_experts)
    layer.build([X0.shape, X.shape])
    layer.set_weights([RNG.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def test_a_mixture_against_loops():
    layer = _mixture(3)
    expected = [
        numpy_reference.cross_layer(layer, x0, x) for x0, x in zip(X0, X, strict=True)
    ]
    np.testing.assert_allclose(layer([X0, X]), expected, rtol=1e-4, atol=1e-5)


def test_a_mixture_of_one_has_no_gate():
    layer = _mixture(1)
    assert layer.gate is None
    down, up = np.asarray(layer.down.kernel), np.asarray(layer.dense.kernel)
    inner = np.tanh(np.tanh(X @ down) @ np.asarray(layer.core)[0])
    expected = X0 * (inner @ up + np.asarray(layer.dense.bias)) + X
    np.testing.assert_allclose(layer([X0, X]), expected, rtol=1e-4, atol=1e-5)


def test_the_bias_of_a_mixture_counts_once():
    layer = _mixture(3)
    before = np.asarray(layer([X0, X]))
    layer.dense.bias.assign(layer.dense.bias + 2.0)
    np.testing.assert_allclose(layer([X0, X]), before + 2 * X0, rtol=1e-4, atol=1e-5)


def test_an_expert_starts_as_a_matrix_of_its_own():
    """An orthogonal initializer makes each orthogonal, and no two are equal."""
    initializer = keras.initializers.Orthogonal(seed=1)
    layer = CrossLayer(4, 3, kernel_initializer=initializer)
    layer.build([(None, 9), (None, 9)])
    core = np.asarray(layer.core)
    squares = core @ core.transpose(0, 2, 1)
    np.testing.assert_allclose(squares, [np.eye(4)] * 3, atol=1e-5)
    assert not np.allclose(core[0], core[1])


def test_the_scale_of_a_core_does_not_fall_with_the_experts():
    """Glorot's variance of an r × r matrix is 1/r."""
    layer = CrossLayer(16, 16)
    layer.build([(None, 9), (None, 9)])
    np.testing.assert_allclose(np.var(np.asarray(layer.core)), 1 / 16, rtol=0.1)


@pytest.mark.parametrize("seed", [None, 1])
def test_the_factors_of_a_square_layer_start_apart(seed):
    layer = CrossLayer(5, kernel_initializer=keras.initializers.GlorotUniform(seed))
    layer.build([X0.shape, X.shape])
    assert not np.allclose(layer.down.kernel, layer.dense.kernel)


@pytest.mark.parametrize("temperature", [0.0, 50.0])
def test_gates(temperature):
    """Equal scores weigh the experts alike; a large one takes a single expert."""
    layer = _mixture(3)
    layer.gate.kernel.assign(np.zeros((5, 3)))
    layer.gate.bias.assign([0.0, temperature, 0.0])
    down = np.asarray(layer.down.kernel).reshape(5, 3, 2)
    up = np.asarray(layer.dense.kernel).reshape(3, 2, 5)
    core, bias = np.asarray(layer.core), np.asarray(layer.dense.bias)
    experts = [
        X0 * (np.tanh(np.tanh(X @ down[:, i]) @ core[i]) @ up[i] + bias)
        for i in range(3)
    ]
    mixed = experts[1] if temperature else np.mean(experts, axis=0)
    np.testing.assert_allclose(layer([X0, X]), mixed + X, rtol=1e-4, atol=1e-5)


def test_experts_need_a_rank():
    with pytest.raises(ValueError, match="`num_experts` needs the rank of the experts"):
        CrossLayer(num_experts=2)([X0, X])
    with pytest.raises(ValueError, match="`num_experts` must be a positive integer"):
        CrossLayer(2, num_experts=0)


@pytest.mark.parametrize("rank", [0, -1, 2.5])
def test_ranks(rank):
    with pytest.raises(
        ValueError, match=r"`projection_dim` must be a positive integer"
    ):
        CrossLayer(rank)
