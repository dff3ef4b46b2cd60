"""Masks over normalized embeddings, and over blocks."""

import keras
import numpy as np
import pytest

from keras_recs.layers import MaskBlock
from tests import numpy_reference

RNG = np.random.default_rng(0)
FIELDS = RNG.normal(size=(3, 4, 5)).astype("float32")
HIDDEN = RNG.normal(size=(3, 6)).astype("float32")


def random_layer(*arguments, hidden=None, **options):
    layer = MaskBlock(*arguments, **options)
    if hidden is None:
        layer.build(FIELDS.shape)
    else:
        layer.build(FIELDS.shape, hidden.shape)
    layer.set_weights(
        [RNG.normal(size=w.shape, scale=0.5) for w in layer.get_weights()]
    )
    return layer


@pytest.mark.parametrize("hidden", [None, HIDDEN])
@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize("ratio", [0.5, 1.5])
def test_against_loops(ratio, layer_norm, hidden):
    layer = random_layer(7, ratio, layer_norm, hidden=hidden)
    outputs = layer(FIELDS, hidden=hidden)
    assert outputs.shape == (3, 7)
    for row, fields in enumerate(FIELDS):
        below = None if hidden is None else hidden[row]
        expected = numpy_reference.mask_block(layer, fields, below)
        np.testing.assert_allclose(outputs[row], expected, rtol=1e-4, atol=1e-5)


def test_the_aggregation_has_the_ratio_of_the_mask():
    """Of F·D numbers over the embeddings, and of the block below over a block."""
    layer = random_layer(7, 1.5)
    assert layer.aggregation.kernel.shape == (20, 30)
    assert layer.projection.kernel.shape == (30, 20)
    layer = random_layer(7, 1.5, hidden=HIDDEN)
    assert layer.aggregation.kernel.shape == (20, 9)
    assert layer.projection.kernel.shape == (9, 6)
    assert layer.dense.bias is None


def test_each_field_is_normalized_for_itself():
    """A field's size and shift go, in front of the mask, and not the other fields'."""
    layer = random_layer(7, activation=None, layer_norm=False)
    layer.aggregation.kernel.assign(np.zeros((20, 40)))  # one mask for all
    layer.gain.assign(np.ones((4, 5)))
    before = layer(FIELDS)
    changed = FIELDS.copy()
    changed[:, 1] = 3 * changed[:, 1] + 2
    np.testing.assert_allclose(layer(changed), before, rtol=1e-3, atol=1e-4)
    changed[:, 1, 0] += 1
    assert not np.allclose(layer(changed), before, rtol=1e-2)


def test_the_mask_reads_the_embeddings_as_they_are():
    layer = random_layer(7, hidden=HIDDEN)
    assert not np.allclose(layer(2 * FIELDS, hidden=HIDDEN), layer(FIELDS, HIDDEN))


def test_the_mask_starts_around_1():
    layer = MaskBlock(7)
    layer.build(FIELDS.shape)
    mask = layer.projection(layer.aggregation(0.05 * FIELDS.reshape(3, 20)))
    assert np.abs(np.asarray(mask) - 1).max() < 0.2


def test_small_embeddings_are_normalized_too():
    """ε must lie under the variance of embeddings of ±0.05."""
    layer = random_layer(7, layer_norm=False, activation=None)
    layer.aggregation.kernel.assign(np.zeros((20, 40)))
    np.testing.assert_allclose(layer(0.05 * FIELDS), layer(FIELDS), rtol=0.05, atol=0.1)


def test_dropout_is_for_training():
    layer = random_layer(7, dropout=0.5, seed=1)
    assert not np.allclose(layer(FIELDS, training=True), layer(FIELDS))


def test_messages():
    with pytest.raises(ValueError, match="`units` must be a positive integer"):
        MaskBlock(0)
    with pytest.raises(ValueError, match="`reduction_ratio` must be positive"):
        MaskBlock(3, 0)
    with pytest.raises(
        ValueError, match=r"MaskBlock reads must have shape \(batch, fi"
    ):
        MaskBlock(3)(keras.KerasTensor((2, 3)))
