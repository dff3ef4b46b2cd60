"""The three wirings against loops; causality and padding as properties."""

import math

import numpy as np
import pytest

from keras_recs.layers import PositionEmbedding, TransformerBlock
from tests.layers.sequence.attention_twin import SEES, block, values_of
from tests.layers.sequence.test_attention import MASK, inputs


def relu(x):
    return np.maximum(x, 0)


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


@pytest.mark.parametrize("sees", SEES)
@pytest.mark.parametrize("wiring", ["sasrec", "pre", "post"])
@pytest.mark.parametrize(("name", "activation"), [("relu", relu), ("gelu", gelu)])
def test_as_loops(wiring, sees, name, activation):
    layer = TransformerBlock(2, 8, name, wiring=wiring, sees=sees)
    x, _ = inputs()
    layer.build([x.shape, MASK.shape])
    values = values_of(layer)
    has_projection = any("output_projection" in path for path in values)
    assert has_projection == (wiring != "sasrec")
    expected = block(values, x.astype("float64"), MASK, wiring, 2, sees, activation)
    found = np.asarray(layer([x, MASK]))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("wiring", ["sasrec", "pre", "post"])
def test_what_comes_later_changes_nothing(wiring):
    layer = TransformerBlock(2, wiring=wiring)
    x, other = inputs()
    mask = np.ones_like(MASK)
    changed = np.concatenate([x[:, :3], other[:, 3:]], 1)
    before, after = (np.asarray(layer([v, mask])) for v in (x, changed))
    np.testing.assert_allclose(before[:, :3], after[:, :3], atol=1e-6)
    assert np.abs(before[:, 3:] - after[:, 3:]).max() > 0.1


@pytest.mark.parametrize("sees", SEES)
@pytest.mark.parametrize("wiring", ["sasrec", "pre", "post"])
def test_padding_changes_nothing(wiring, sees):
    layer = TransformerBlock(2, wiring=wiring, sees=sees)
    x, other = inputs()
    changed = np.where(MASK[:, :, None], x, 100 * other)
    before, after = (np.asarray(layer([v, MASK])) for v in (x, changed))
    np.testing.assert_allclose(before, after, atol=1e-5)
    assert not before[~MASK].any()
    shorter = np.asarray(layer([x[:1, 2:], MASK[:1, 2:]]))
    np.testing.assert_allclose(before[:1, 2:], shorter, atol=1e-5)


@pytest.mark.parametrize("sees", ["future", 0, None])
def test_bad_sees(sees):
    with pytest.raises(ValueError, match=rf'`sees` must be "past".*sees={sees!r}'):
        TransformerBlock(sees=sees)


def test_bad_wiring():
    with pytest.raises(ValueError, match=r"`wiring` must be one of.*'side'"):
        TransformerBlock(wiring="side")
    with pytest.raises(ValueError, match=r"states \(batch, time, dim\)"):
        TransformerBlock().build([(2, 3, 4)])


def test_positions_count_from_the_end():
    layer = PositionEmbedding(4)
    layer.build((None, 4, 2))
    vectors = np.asarray(layer.positions)
    for length in (1, 3, 4):
        added = np.asarray(layer(np.zeros((2, length, 2), "float32")))
        np.testing.assert_array_equal(added, [vectors[4 - length :]] * 2)
    with pytest.raises(ValueError, match="at most 4 places"):
        PositionEmbedding(4).build((None, 5, 2))
