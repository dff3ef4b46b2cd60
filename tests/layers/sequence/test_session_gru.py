"""A GRU over sessions, against loops and Keras's GRU of each session alone."""

import itertools

import keras
import numpy as np
import pytest

from keras_recs.layers import SessionGRU

RNG = np.random.default_rng(0)
STEPS = RNG.normal(size=(4, 7, 3)).astype("float32")
STARTS = np.array(
    [
        [1, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
    ],
    bool,
)
MASK = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [1, 0, 1, 1, 0, 1, 1],
    ],
    bool,
)
UNITS = (5, 6)


def make(hidden_units=UNITS, **options):
    layer = SessionGRU(hidden_units, **options)
    layer.build([STEPS.shape, STARTS.shape, MASK.shape])
    for weight in layer.trainable_weights:
        weight.assign(RNG.normal(size=weight.shape))
    return layer


def states(seed=1, units=UNITS, rows=4):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(rows, n)).astype("float32") for n in units]


def arrays(outputs):
    return [np.asarray(output) for output in outputs]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def twin(layer, steps, starts, mask, before):
    """Gates and resets, a slot, a step and a layer at a time."""
    tops, last = np.zeros((*mask.shape, layer.hidden_units[-1])), []
    for slot in range(len(steps)):
        hidden = [state[slot].astype("float64") for state in before]
        for t in range(steps.shape[1]):
            x = steps[slot, t].astype("float64")
            for i, loop in enumerate(layer.loops):
                own = {w.name: np.asarray(w, "float64") for w in loop.weights}
                n = layer.hidden_units[i]
                h = np.zeros(n) if starts[slot, t] else hidden[i]
                w, u, b = (own[k] for k in ("kernel", "recurrent_kernel", "bias"))
                z = sigmoid(x @ w[:, :n] + h @ u[:, :n] + b[:n])
                at = slice(n, 2 * n)
                r = sigmoid(x @ w[:, at] + h @ u[:, at] + b[at])
                if layer.reset_after:
                    inner = r * (h @ u[:, 2 * n :] + own["candidate_bias"])
                else:
                    inner = (r * h) @ u[:, 2 * n :]
                new = np.tanh(x @ w[:, 2 * n :] + b[2 * n :] + inner)
                if mask[slot, t]:
                    h = (1 - z) * h + z * new
                hidden[i] = x = h
            tops[slot, t] = x
        last.append(hidden)
    return [tops, *(np.stack(part) for part in zip(*last))]


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_as_loops(reset_after, given):
    layer = make(reset_after=reset_after)
    before = states() if given else []
    found = layer([STEPS, STARTS, MASK, *before])
    zeros = [np.zeros((4, n)) for n in UNITS]
    expected = twin(layer, STEPS, STARTS, MASK, before or zeros)
    assert len(found) == 3
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_each_session_as_by_keras():
    """Its gate is what is kept, one minus ours."""
    layer = make((5,), reset_after=True)
    kernel, recurrent, bias, candidate = map(np.asarray, layer.get_weights())
    sign = np.repeat([-1.0, 1.0, 1.0], 5)
    gru = keras.layers.GRU(5, return_sequences=True)
    gru.build((None, None, 3))
    both = np.stack([bias * sign, np.concatenate([np.zeros(10), candidate])])
    gru.set_weights([kernel * sign, recurrent * sign, both])
    found = np.asarray(layer([STEPS, STARTS, np.ones_like(MASK)])[0])
    for slot, starts in enumerate(STARTS):
        edges = np.unique([0, *np.flatnonzero(starts), 7])
        for a, b in itertools.pairwise(edges):
            alone = gru(STEPS[slot : slot + 1, a:b])[0]
            np.testing.assert_allclose(found[slot, a:b], alone, rtol=1e-4, atol=1e-5)


def test_without_a_step_the_state_stays_bit_by_bit():
    layer, before = make(), states()
    top, *after = arrays(layer([STEPS, STARTS, MASK, *before]))
    for one, other in zip(before, after):
        np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(top[2, 4], top[2, 6])
    np.testing.assert_array_equal(top[:, -1], after[-1])


@pytest.mark.parametrize("reset_after", [False, True])
def test_steps_one_by_one(reset_after):
    layer = make(reset_after=reset_after)
    expected, *last = arrays(layer([STEPS, STARTS, MASK]))
    state = [np.zeros((4, n), "float32") for n in UNITS]
    for t in range(7):
        at = slice(t, t + 1)
        top, *state = layer([STEPS[:, at], STARTS[:, at], MASK[:, at], *state])
        np.testing.assert_allclose(top[:, 0], expected[:, t], rtol=1e-4, atol=1e-5)
    for one, other in zip(state, last):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_carried_from_call_to_call(training):
    layer, plain = make(num_slots=4), make()
    plain.set_weights([np.asarray(w) for w in layer.trainable_weights])
    parts = [slice(0, 3), slice(3, 4), slice(4, 7)]
    inputs = [[STEPS[:, p], STARTS[:, p], MASK[:, p]] for p in parts]
    found = []
    for number, part in enumerate(inputs):
        found.append(np.asarray(layer(part, training=training)[0]))
        # Neither what is given is carried, nor what the other kind of calls has left.
        layer([*inputs[number - 1], *states(number)], training=training)
        layer(inputs[number - 1], training=not training)
    expected, *last = arrays(plain([STEPS, STARTS, MASK]))
    np.testing.assert_allclose(np.concatenate(found, 1), expected, rtol=1e-4, atol=1e-5)
    carried = layer.carried if training else layer.carried_in_tests
    for variable, state in zip(carried, last, strict=True):
        assert not variable.trainable
        np.testing.assert_allclose(np.asarray(variable), state, rtol=1e-4, atol=1e-5)


def test_nothing_comes_over_a_start():
    layer, changed = make(), STEPS.copy()
    changed[0, :3] += 1
    changed[:, -1] += 1
    before, after = (np.asarray(layer([s, STARTS, MASK])[0]) for s in (STEPS, changed))
    np.testing.assert_array_equal(before[0, 3:6], after[0, 3:6])
    assert np.abs(before[0, :3] - after[0, :3]).min() > 0
    # Nor does a slot see another one, or a step a later one.
    np.testing.assert_array_equal(before[1:, :-1], after[1:, :-1])


def test_dropout_is_of_training():
    layer = make(dropout=0.5, seed=1)
    inputs = [STEPS, STARTS, MASK]
    first, second = (np.asarray(layer(inputs, training=True)[0]) for _ in range(2))
    assert np.abs(first - second).max() > 0.01
    np.testing.assert_array_equal(layer(inputs)[0], layer(inputs, training=False)[0])


def test_bad_input():
    with pytest.raises(
        ValueError, match=r"`hidden_units` must be.*hidden_units=\(0,\)"
    ):
        SessionGRU((0,))
    with pytest.raises(ValueError, match=r"`num_slots` must be.*num_slots=\(0,\)"):
        SessionGRU(num_slots=0)
    layer = make(num_slots=3)
    with pytest.raises(ValueError, match=r"as many rows.*num_slots=3.*\(4, 7, 3\)"):
        layer([STEPS, STARTS, MASK])
    for wrong in ([STEPS, STARTS], [STEPS, STARTS, MASK, states()[0]]):
        with pytest.raises(ValueError, match=r"inputs of SessionGRU must be.*shape="):
            SessionGRU(UNITS)(wrong)
