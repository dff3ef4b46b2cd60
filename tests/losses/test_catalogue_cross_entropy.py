"""Softmax cross-entropy by chunks of the catalogue, beside the plain form."""

import functools
import math
from pathlib import Path

import numpy as np
import pytest

from keras_recs.losses import catalogue_cross_entropy
from tests.harness import run_python

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=6).astype("float32")


def arrays(num_items, bias=True):
    rng = np.random.default_rng(num_items)
    hidden = rng.normal(size=(6, 4)).astype("float32")
    table = rng.normal(size=(num_items, 4)).astype("float32")
    targets = rng.integers(0, num_items, 6)
    targets[:3] = num_items - 1, 0, num_items - 1  # ends, and one twice
    return hidden, table, targets, rng.normal(size=num_items).astype("float32")


def loops(hidden, table, targets, bias):
    losses = []
    for row, target in zip(hidden.astype("float64"), targets):
        logits = [float(row @ item) + float(b) for item, b in zip(table, bias)]
        losses.append(math.log(sum(map(math.exp, logits))) - logits[target])
    return losses


def with_gradients(chunk_size, hidden, table, targets, bias, run=None):
    """Losses, and the gradients of their weighted sum."""
    import tensorflow as tf

    def compute(hidden, table, targets, bias):
        watched = [a for a in (hidden, table, bias) if a is not None]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            loss = catalogue_cross_entropy(hidden, table, targets, bias, chunk_size)
            total = tf.reduce_sum(loss * WEIGHTS[: loss.shape[0]])
        found = tape.gradient(total, watched)
        return [loss, *map(tf.convert_to_tensor, found)]

    values = [
        None if a is None else tf.constant(a) for a in (hidden, table, targets, bias)
    ]
    return [np.asarray(r) for r in (run(compute) if run else compute)(*values)]


def modes():
    import tensorflow as tf

    return {
        "eager": None,
        "graph": lambda f: tf.function(f, autograph=False),
        "xla": lambda f: tf.function(f, autograph=False, jit_compile=True),
    }


@pytest.mark.parametrize(
    "num_items, chunk_size", [(50, 7), (49, 7), (50, 49), (9, 1), (50, 64)]
)
def test_losses_as_loops_compute_them(num_items, chunk_size):
    values = arrays(num_items)
    found = catalogue_cross_entropy(*values, chunk_size=chunk_size)
    np.testing.assert_allclose(found, loops(*values), rtol=1e-5, atol=1e-5)
    found = catalogue_cross_entropy(*values[:3], chunk_size=chunk_size)
    expected = loops(*values[:3], np.zeros(num_items))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "num_items, chunk_size, mode",
    [
        (50, 7, "eager"),
        (49, 7, "eager"),
        (50, 49, "graph"),
        (50, 7, "graph"),
        (50, 7, "xla"),
    ],
)
def test_gradients_are_those_of_the_plain_form(num_items, chunk_size, mode):
    values = arrays(num_items)
    for bias in (values[3], None):
        expected = with_gradients(64, *values[:3], bias)
        found = with_gradients(chunk_size, *values[:3], bias, run=modes()[mode])
        assert len(found) == len(expected)
        for ours, plain in zip(found, expected):
            np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "num_items, chunk_size, mode",
    [(50, 64, "eager"), (50, 20, "graph"), (50, 9, "eager"), (50, 9, "xla")],
)
def test_weighed_sum_is_that_of_the_losses(num_items, chunk_size, mode):
    """So are its gradients; 6 losses go into 1, 3 and 6 parts, of which some are 0."""
    import tensorflow as tf

    values = arrays(num_items)
    weights = WEIGHTS.copy()
    weights[2] = 0.0

    def compute(size, given, *values):
        hidden, table, targets, *biases = map(tf.convert_to_tensor, values)
        watched = [hidden, table, *biases]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            found = catalogue_cross_entropy(
                hidden, table, targets, *biases, chunk_size=size, weights=given
            )
            total = 3 * (found if given is not None else tf.reduce_sum(found * weights))
        slopes = tape.gradient(total, watched)
        return [total, *map(tf.convert_to_tensor, slopes)]

    for some in (values, values[:3]):
        expected = compute(64, None, *some)
        function = modes()[mode]
        run = functools.partial(compute, chunk_size, weights)
        found = (function(run) if function else run)(*some)
        assert len(found) == len(expected)
        for ours, plain in zip(found, expected):
            np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-5)
    nothing = compute(chunk_size, weights[:0], values[0][:0], values[1], values[2][:0])
    assert not np.any(nothing[0]) and not np.any(nothing[2])


def test_the_gradient_is_the_slope():
    hidden, table, targets, bias = arrays(20)
    _, to_hidden, to_table, to_bias = with_gradients(6, hidden, table, targets, bias)
    for number, found in ((0, to_hidden), (1, to_table), (3, to_bias)):
        for place in [0, found.size // 2, found.size - 1]:
            sums = []
            for step in (1e-5, -1e-5):
                moved = [hidden, table, targets, bias]
                moved[number] = moved[number].astype("float64")
                moved[number].reshape(-1)[place] += step
                sums.append(np.dot(loops(*moved), WEIGHTS))
            slope = (sums[0] - sums[1]) / 2e-5
            assert found.reshape(-1)[place] == pytest.approx(slope, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    import tensorflow as tf

    values = arrays(50)
    half = [tf.cast(v, dtype) for v in values[:2]]
    rounded = [np.asarray(tf.cast(v, "float32")) for v in half]
    found = with_gradients(7, *half, *values[2:])
    expected = with_gradients(64, *rounded, *values[2:])
    assert found[0].dtype == "float32"
    assert found[1].dtype == found[2].dtype == half[0].numpy().dtype
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-5)
    for ours, plain in zip(found[1:], expected[1:]):
        np.testing.assert_allclose(ours.astype("float32"), plain, rtol=0.02, atol=0.01)


def test_large_logits_are_finite():
    hidden, table, targets, bias = arrays(50)
    bias[4] = -1e9  # an item that is no candidate
    targets[targets == 4] = 5
    found = with_gradients(7, 100 * hidden, 100 * table, targets, bias)
    assert all(np.isfinite(value).all() for value in found)
    assert (found[0] >= -1e-2).all() and not found[2][4].any()


def test_batches_of_unknown_size_with_a_layers_table():
    import keras
    import tensorflow as tf

    hidden, table, targets, _ = arrays(50)
    layer = keras.layers.Embedding(50, 4, weights=[table])
    layer.build()

    @tf.function(
        input_signature=[tf.TensorSpec((None, 4)), tf.TensorSpec((None,), "int64")]
    )
    def step(hidden, targets):
        with tf.GradientTape() as tape:
            losses = catalogue_cross_entropy(
                hidden, layer.embeddings, targets, chunk_size=7
            )
        return losses, tf.convert_to_tensor(
            tape.gradient(losses, layer.embeddings.value)
        )

    losses, gradient = step(hidden, targets)
    expected = loops(hidden, table, targets, np.zeros(50))
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-5)
    assert (
        np.abs(np.sum(gradient, axis=0)).max() < 1e-5
    )  # Σ (softmax − 1 at the target)
    assert step(hidden[:0], targets[:0])[0].shape == (0,)


MEMORY = """
import tensorflow as tf
from keras_recs.losses import catalogue_cross_entropy

def peak():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

def step(hidden, table, targets):
    with tf.GradientTape() as tape:
        tape.watch([hidden, table])
        losses = catalogue_cross_entropy(hidden, table, targets, chunk_size=4096)
    return tape.gradient(losses, [hidden, table])

table = tf.random.normal((100_000, 8))
hidden, targets = tf.random.normal((512, 8)), tf.range(512)
for run in (step, tf.function(step, autograph=False)):
    run(hidden[:2], table[:5000], targets[:2])
    before = peak()
    run(hidden, table, targets)
    print(peak() - before)
"""


def test_memory_does_not_grow_with_the_catalogue():
    """The scores of all items would be 205 MB, and their gradient as much."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs Linux's /proc")
    eager, graph = map(float, run_python("-c", MEMORY).stdout.split())
    assert eager < 150 and graph < 150


def test_errors():
    hidden, table, targets, bias = arrays(50)
    with pytest.raises(ValueError, match=r"`chunk_size` must be .* chunk_size=0"):
        catalogue_cross_entropy(hidden, table, targets, chunk_size=0)
    wrong = [
        (hidden[0], table, targets, bias),
        (hidden[:, :3], table, targets, bias),
        (hidden, table, targets[:, None], bias),
        (hidden, table, targets, bias[:-1]),
    ]
    for values in wrong:
        with pytest.raises(
            ValueError, match=r"`hidden`, `table`, `targets` and `bias`"
        ):
            catalogue_cross_entropy(*values)
