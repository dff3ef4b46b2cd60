"""Self-attention over fields, as the AutoInt paper writes it."""

import keras
import numpy as np
import pytest

from keras_recs.layers import FieldAttention
from tests import numpy_reference

RNG = np.random.default_rng(0)
FIELDS = RNG.normal(size=(3, 4, 6)).astype("float32")


def random_layer(*arguments, **options):
    layer = FieldAttention(*arguments, **options)
    layer.build(FIELDS.shape)
    layer.set_weights(
        [RNG.normal(size=w.shape, scale=0.5) for w in layer.get_weights()]
    )
    return layer


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("use_residual", [False, True])
@pytest.mark.parametrize(("heads", "dim"), [(1, 5), (2, 3), (3, 4)])
def test_against_loops(heads, dim, use_residual, scaled):
    layer = random_layer(heads, dim, use_residual, scaled)
    outputs, weights = layer(FIELDS, return_attention_scores=True)
    assert outputs.shape == layer.compute_output_shape(FIELDS.shape)
    for row, fields in enumerate(FIELDS):
        expected = numpy_reference.field_attention_layer(layer, fields)
        np.testing.assert_allclose(outputs[row], expected[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(weights[row], expected[1], rtol=1e-4, atol=1e-6)


def test_two_fields_by_hand():
    """With all matrices 1 a field of number x scores x·y of the field of number y."""
    layer = FieldAttention(1, 1, use_residual=False)
    layer.build((None, 2, 1))
    layer.set_weights([np.ones((1, 1))] * 3)
    outputs, weights = layer(np.array([[[1.0], [2.0]]]), return_attention_scores=True)
    near, far = 1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(
        weights[0, 0], [[1 - near, near], [1 - far, far]], rtol=1e-5
    )
    np.testing.assert_allclose(outputs[0], [[1 + near], [1 + far]], rtol=1e-5)


def test_the_weights_of_each_field_sum_to_one_over_the_fields():
    _, weights = random_layer(2, 3)(FIELDS, return_attention_scores=True)
    assert weights.shape == (3, 2, 4, 4)
    np.testing.assert_allclose(np.sum(weights, axis=-1), np.ones((3, 2, 4)), rtol=1e-5)
    assert np.abs(np.sum(weights, axis=-2) - 1).max() > 0.01


def test_the_order_of_the_fields_goes_through():
    layer, order = random_layer(2, 3), [2, 0, 3, 1]
    outputs, weights = layer(FIELDS, return_attention_scores=True)
    turned, read = layer(FIELDS[:, order], return_attention_scores=True)
    np.testing.assert_allclose(turned, np.asarray(outputs)[:, order], rtol=1e-4)
    expected = np.asarray(weights)[:, :, order][:, :, :, order]
    np.testing.assert_allclose(read, expected, rtol=1e-4)


def test_weights_of_the_paper():
    """Three maps a head without biases, and one of the field itself where it must."""
    names = [w.path.split("/")[-2] for w in random_layer(2, 4).weights]
    assert names == ["query", "key", "value", "residual"]
    assert len(random_layer(2, 3).weights) == 3  # the lengths agree: the field itself
    assert len(random_layer(2, 4, use_residual=False).weights) == 3


def test_dropout_is_for_training_and_not_in_the_weights_returned():
    layer = random_layer(2, 3, dropout=0.5, seed=1)
    plain, weights = layer(FIELDS, return_attention_scores=True)
    dropped, same = layer(FIELDS, return_attention_scores=True, training=True)
    np.testing.assert_array_equal(same, weights)
    assert not np.allclose(dropped, plain)


def test_weights_of_a_functional_model():
    inputs = keras.Input((4, 6))
    outputs = random_layer(2, 3)(inputs, return_attention_scores=True)
    assert [output.shape for output in outputs] == [(None, 4, 6), (None, 2, 4, 4)]
    _, weights = keras.Model(inputs, outputs).predict_on_batch(FIELDS)
    assert weights.shape == (3, 2, 4, 4)


def test_messages():
    for name in ("num_heads", "projection_dim"):
        with pytest.raises(ValueError, match=f"`{name}` must be a positive integer"):
            FieldAttention(**{name: 0})
    with pytest.raises(ValueError, match=r"FieldAttention must have shape \(batch, fi"):
        FieldAttention()(keras.KerasTensor((2, 3)))
