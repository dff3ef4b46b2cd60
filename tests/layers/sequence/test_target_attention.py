"""Attention of a candidate, against loops."""

import keras
import numpy as np
import pytest

from keras_recs.layers import TargetAttention
from tests import numpy_reference

RNG = np.random.default_rng(0)
QUERY = RNG.normal(size=(4, 3)).astype("float32")
EVENTS = RNG.normal(size=(4, 5, 3)).astype("float32")
MASK = np.array(
    [[1, 1, 1, 1, 1], [0, 0, 0, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]], bool
)


def attention(**arguments):
    layer = TargetAttention((6, 4), **{"activation": "sigmoid", **arguments})
    layer([QUERY, EVENTS, MASK])
    for weight in layer.weights:
        weight.assign(RNG.uniform(0.1, 1, weight.shape))
    return layer


@pytest.mark.parametrize("use_softmax", [False, True])
def test_against_loops(use_softmax):
    layer = attention(use_softmax=use_softmax)
    weights = [np.asarray(weight, "float64") for weight in layer.weights]

    def score(seen):
        pairs = [weights[:2], weights[2:4]]
        hidden = numpy_reference.mlp(seen, pairs, numpy_reference.sigmoid)
        return float((hidden @ weights[4] + weights[5])[0])

    expected = [
        numpy_reference.attend(query, events[mask], score, use_softmax)
        for query, events, mask in zip(QUERY, EVENTS, MASK)
    ]
    outputs = layer([QUERY, EVENTS, MASK])
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ["dice", "prelu", "sigmoid"])
@pytest.mark.parametrize("use_softmax", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_padding_weighs_exactly_zero(use_softmax, activation, policy):
    keras.config.set_dtype_policy(policy)
    layer = attention(use_softmax=use_softmax, activation=activation)
    for training in (False, True):
        _, weights = layer(
            [QUERY, EVENTS, MASK], training=training, return_attention_scores=True
        )
        weights = np.asarray(weights)
        assert weights.dtype == np.float32
        np.testing.assert_array_equal(weights[~MASK], 0)
        assert (weights[MASK] != 0).all()
        if use_softmax:
            np.testing.assert_allclose(weights[:3].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("use_softmax", [False, True])
def test_what_stands_at_the_padding_does_not_matter(use_softmax):
    layer = attention(use_softmax=use_softmax, activation="dice")
    wild = np.where(MASK[..., None], EVENTS, 30).astype("float32")
    for training in (False, True):
        outputs = np.asarray(layer([QUERY, EVENTS, MASK], training=training))
        others = layer([QUERY, wild, MASK], training=training)
        np.testing.assert_allclose(others, outputs, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(outputs[3], 0)


def test_the_weights_of_a_history_need_not_sum_to_one():
    _, weights = attention()([QUERY, EVENTS, MASK], return_attention_scores=True)
    assert np.abs(np.sum(weights, axis=1)[:3] - 1).min() > 0.1


def test_without_a_mask_every_event_counts():
    layer = attention()
    full = np.ones((4, 5), bool)
    np.testing.assert_allclose(
        layer([QUERY, EVENTS]), layer([QUERY, EVENTS, full]), rtol=1e-6
    )


def test_the_order_of_the_events_changes_nothing():
    layer = attention(use_softmax=True)
    outputs = layer([QUERY, EVENTS, MASK])
    turned = layer([QUERY, EVENTS[:, ::-1], MASK[:, ::-1]])
    np.testing.assert_allclose(turned, outputs, rtol=1e-5)


def test_each_candidate_attends_for_itself():
    layer = attention()
    outputs = np.asarray(layer([QUERY, EVENTS, MASK]))
    alone = layer([QUERY[1:2], EVENTS[1:2], MASK[1:2]])
    np.testing.assert_allclose(alone, outputs[1:2], rtol=1e-5)
    other = np.asarray(layer([QUERY + 1, EVENTS, MASK]))
    assert np.abs(other - outputs)[:3].min() > 1e-4


@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 3)],
        [(2, 3), (2, 5, 4)],
        [(2, 3), (2, 3)],
        [(2, 3), (2, 5, 3), (2, 5, 1)],
        [(2, 3), (2, 5, 3), (2, 5), (2, 5)],
    ],
)
def test_shapes(shapes):
    with pytest.raises(ValueError, match="The inputs of TargetAttention must be"):
        TargetAttention().build(shapes)
