"""Attention of a sequence to itself against loops; who sees whom."""

import numpy as np
import pytest

from keras_recs.layers import CausalSelfAttention, LocalAttention
from tests.layers.sequence.attention_twin import attention, values_of

B, T, D = 4, 5, 6
# On the left, none, on both sides, all.
MASK = np.array(
    [
        [False, False, True, True, True],
        [True] * 5,
        [False, True, False, True, False],
        [False] * 5,
    ]
)
LAYERS = {
    "causal": (lambda **k: CausalSelfAttention(**k), lambda t, s: s <= t),
    "all": (lambda **k: LocalAttention(None, **k), lambda t, s: True),
    "window": (lambda **k: LocalAttention(1, **k), lambda t, s: abs(t - s) <= 1),
}


def inputs(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(B, T, D)).astype("float32") for _ in range(2)]


@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("num_heads", [1, 3])
@pytest.mark.parametrize("kind", LAYERS)
def test_as_loops(kind, num_heads, projected):
    make, sees = LAYERS[kind]
    layer = make(num_heads=num_heads, use_output_projection=projected)
    asking, asked = inputs()
    layer.build([asking.shape, asked.shape, MASK.shape])
    values = values_of(layer)
    expected = attention(values, asking, asked, MASK, sees, num_heads)
    found = np.asarray(layer([asking, asked, MASK]))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("kind", LAYERS)
def test_dropout_of_nothing_takes_the_other_way(kind):
    """With a rate that drops nothing both ways to compute give the same."""
    make, _ = LAYERS[kind]
    layer = make(num_heads=2, dropout=1e-9, seed=1)
    asking, asked = inputs()
    plain = np.asarray(layer([asking, asked, MASK]))
    trained = np.asarray(layer([asking, asked, MASK], training=True))
    np.testing.assert_allclose(trained, plain, rtol=1e-5, atol=1e-6)
    assert not plain[3].any() and not trained[3].any()


def test_dropout_drops():
    layer = CausalSelfAttention(dropout=0.5, seed=1)
    asking, asked = inputs()
    plain = np.asarray(layer([asking, asked, MASK]))
    trained = np.asarray(layer([asking, asked, MASK], training=True))
    assert np.abs(plain - trained).max() > 0.01


def test_what_is_hidden_has_no_gradient():
    import tensorflow as tf

    layer = CausalSelfAttention(num_heads=2)
    asking, asked = map(tf.constant, inputs())
    with tf.GradientTape() as tape:
        tape.watch(asked)
        output = layer([asking, asked, MASK])
        third = tf.reduce_sum(output[:, 2] ** 2)
    gradient = np.abs(tape.gradient(third, asked).numpy()).sum(-1)  # (B, T)
    seen = MASK & (np.arange(T) <= 2)
    assert ((gradient > 0) == seen)[[0, 1]].all()
    assert not gradient[~seen].any()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("cls", [CausalSelfAttention, LocalAttention])
def test_bad_input(cls):
    with pytest.raises(ValueError, match=r"what asks \(batch, time, dim\).*Received"):
        cls().build([(2, 3, 4), (2, 3, 5), (2, 3)])
    with pytest.raises(ValueError, match=r"`num_heads` must divide.*num_heads=3"):
        cls(num_heads=3).build([(2, 3, 4), (2, 3, 4), (2, 3)])
    with pytest.raises(ValueError, match="num_heads"):
        cls(num_heads=0)


def test_bad_window():
    with pytest.raises(ValueError, match=r"`?window`?"):
        LocalAttention(0)
