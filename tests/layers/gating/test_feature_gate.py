"""Gates between 0 and 2."""

import numpy as np
import pytest

from keras_recs.layers import FeatureGate
from tests import numpy_reference

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(4, 6)).astype("float32")
CONDITION = RNG.normal(size=(4, 3)).astype("float32")


def random_layer(condition):
    layer = FeatureGate((5, 4))
    if condition is None:
        layer.build(FEATURES.shape)
    else:
        layer.build(FEATURES.shape, condition.shape)
    layer.set_weights([RNG.normal(size=w.shape) for w in layer.get_weights()])
    return layer


@pytest.mark.parametrize("condition", [None, CONDITION])
def test_against_the_twin(condition):
    layer = random_layer(condition)
    outputs = layer(FEATURES, condition=condition)
    for row, x in enumerate(FEATURES):
        given = None if condition is None else condition[row]
        expected = numpy_reference.feature_gate(layer, x, given)
        np.testing.assert_allclose(outputs[row], expected, rtol=1e-4, atol=1e-6)


def test_gates_lie_between_0_and_2_and_start_around_1():
    gates = np.asarray(random_layer(CONDITION)(np.ones((4, 6)), condition=CONDITION))
    assert ((gates > 0) & (gates < 2)).all()
    layer = FeatureGate((5, 4))
    layer.build(FEATURES.shape, CONDITION.shape)
    layer.gates.kernel.assign(np.zeros((4, 6)))
    np.testing.assert_allclose(layer(FEATURES, condition=CONDITION), FEATURES)


def test_without_a_condition_all_examples_have_the_same_gates():
    gates = np.asarray(random_layer(None)(np.ones((4, 6))))
    np.testing.assert_array_equal(gates, np.repeat(gates[:1], 4, axis=0))


def test_with_a_condition_the_features_do_not_reach_their_gates():
    layer = random_layer(CONDITION)
    once = np.asarray(layer(FEATURES, condition=CONDITION))
    np.testing.assert_allclose(
        layer(3 * FEATURES, condition=CONDITION), 3 * once, rtol=1e-5
    )


def test_messages():
    with pytest.raises(ValueError, match="`hidden_units` must be one or more positive"):
        FeatureGate(8)
    with pytest.raises(ValueError, match="`condition_dim` must be a positive integer"):
        FeatureGate(condition_dim=0)
