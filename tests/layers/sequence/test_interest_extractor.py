"""States of a history, and their loss on next events, against loops."""

import keras
import numpy as np
import pytest

from keras_recs.layers import InterestExtractor
from tests import numpy_reference

RNG = np.random.default_rng(0)
EVENTS = RNG.normal(size=(4, 5, 3)).astype("float32")
NEGATIVES = RNG.normal(size=(4, 5, 3)).astype("float32")
MASK = np.array(
    [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], bool
)


def extractor(**arguments):
    layer = InterestExtractor(**arguments)
    layer.build([EVENTS.shape, MASK.shape, NEGATIVES.shape])
    for weight in layer.weights:
        weight.assign(RNG.normal(size=weight.shape))
    return layer


def loss_of(layer, events=EVENTS, mask=MASK, negatives=NEGATIVES):
    layer([events, mask, negatives], training=True)
    (loss,) = layer.losses
    return float(loss)


def expected_loss(layer):
    weights = [np.asarray(weight, "float64") for weight in layer.weights]
    histories = []
    for events, negatives, mask in zip(EVENTS, NEGATIVES, MASK):
        states = numpy_reference.gru(events[mask], weights)
        histories.append(list(zip(states, events[mask], negatives[mask], strict=True)))
    return numpy_reference.next_event_loss(histories)


def test_states():
    layer = extractor()
    weights = [np.asarray(weight, "float64") for weight in layer.weights]
    states = np.asarray(layer([EVENTS, MASK]))
    np.testing.assert_array_equal(states[~MASK], 0)
    for row in range(3):
        expected = numpy_reference.gru(EVENTS[row][MASK[row]], weights)
        np.testing.assert_allclose(states[row][MASK[row]], expected, rtol=1e-4)


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_loss_against_loops(weight):
    layer = extractor(auxiliary_weight=weight)
    expected = weight * expected_loss(layer)
    assert loss_of(layer) == pytest.approx(expected, rel=1e-4)


def test_padding_does_not_count():
    """Neither in the sum nor in the number it is divided by."""
    layer = extractor()
    loss = loss_of(layer)
    wild = [
        np.where(MASK[..., None], x, 7).astype("float32") for x in (EVENTS, NEGATIVES)
    ]
    assert loss_of(layer, wild[0], MASK, wild[1]) == pytest.approx(loss, rel=1e-5)
    for sides in ((0, 3), (3, 0)):
        wide = [np.pad(x, ((0, 0), sides, (0, 0))) for x in (EVENTS, NEGATIVES)]
        mask = np.pad(MASK, ((0, 0), sides))
        assert loss_of(layer, wide[0], mask, wide[1]) == pytest.approx(loss, rel=1e-5)


def test_nothing_follows():
    """One event each, or none: no pair, no loss, no NaN in the gradient."""
    import tensorflow as tf

    layer = extractor()
    mask = MASK.copy()
    mask[:, 1:] = False
    with tf.GradientTape() as tape:
        layer([EVENTS, mask, NEGATIVES], training=True)
        (loss,) = layer.losses
    assert float(loss) == 0
    for gradient in tape.gradient(loss, [w.value for w in layer.weights]):
        np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))
    one = [x[:, :1] for x in (EVENTS, MASK, NEGATIVES)]
    assert loss_of(layer, *one) == 0


def test_only_in_training_and_only_with_negatives():
    layer = extractor()
    layer([EVENTS, MASK, NEGATIVES])
    assert not layer.losses
    layer([EVENTS, MASK, NEGATIVES[:, :0]])
    assert not layer.losses
    layer([EVENTS, MASK], training=True)
    assert not layer.losses
    same = [layer([EVENTS, MASK, NEGATIVES], training=mode) for mode in (True, False)]
    np.testing.assert_array_equal(*same)


def test_loss_in_half_precision():
    """Products of these vectors are infinite in float16."""
    keras.config.set_dtype_policy("mixed_float16")
    layer = extractor()
    assert np.isfinite(loss_of(layer, 300 * EVENTS, MASK, 300 * NEGATIVES))


@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 5, 3)],
        [(2, 5, 3), (2, 5, 3)],
        [(2, 5, 3), (2, 5), (2, 5, 4)],
        [(2, 5, None), (2, 5)],
    ],
)
def test_shapes(shapes):
    with pytest.raises(ValueError, match="The inputs of InterestExtractor must be"):
        InterestExtractor().build(shapes)


def test_a_negative_weight():
    with pytest.raises(ValueError, match=r"`auxiliary_weight` must not .*=-1"):
        InterestExtractor(-1)
