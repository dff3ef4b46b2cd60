"""Experts, gates and extraction, against loops over experts and tasks."""

import numpy as np
import pytest

from keras_recs.layers import Experts, ExtractionBlock, MultiGate

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 6)).astype("float32")


def relu(x):
    return np.maximum(x, 0)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def expert_of(layer, number):
    """One expert of a layer as a function of a vector."""
    kernels = [np.asarray(k)[:, number] for k in layer.kernels]
    biases = [np.asarray(b)[number] for b in layer.biases]

    def run(x):
        for kernel, bias in zip(kernels, biases):
            x = relu(x @ kernel + bias)
        return x

    return run


def with_biases(layer):
    """Biases begin at zero, which hides where they are added."""
    for variable in layer.variables:
        if "bias" in variable.name:
            variable.assign(RNG.normal(size=variable.shape))
    return layer


@pytest.mark.parametrize("own", [False, True])
def test_each_expert_is_an_mlp(own):
    layer = Experts(3, (4, 2))
    inputs = RNG.normal(size=(5, 3, 6)).astype("float32") if own else X
    layer.build(inputs.shape)
    outputs = np.asarray(with_biases(layer)(inputs))
    for row in range(5):
        for number in range(3):
            x = inputs[row, number] if own else inputs[row]
            expected = expert_of(layer, number)(x)
            np.testing.assert_allclose(outputs[row, number], expected, atol=1e-5)


def test_experts_begin_as_if_each_were_alone():
    layer = Experts(8, (50,))
    layer.build((None, 200))
    kernel = np.asarray(layer.kernels[0])
    assert kernel.std() == pytest.approx(np.sqrt(2 / 200), rel=0.05)
    assert not np.allclose(kernel[:, 0], kernel[:, 1])


def test_a_gate_a_task():
    experts = RNG.normal(size=(5, 4, 3)).astype("float32")
    layer = MultiGate(2)
    outputs = np.asarray(layer([X, experts]))
    kernel = np.asarray(layer.dense.kernel).reshape(6, 2, 4)
    for row in range(5):
        for gate in range(2):
            weights = softmax(X[row] @ kernel[:, gate])
            expected = sum(w * e for w, e in zip(weights, experts[row]))
            np.testing.assert_allclose(outputs[row, gate], expected, atol=1e-5)


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_level_of_extraction(first, is_last):
    tasks, own, shared = 2, 3, 2
    layer = ExtractionBlock(tasks, (own, shared), (4,), is_last)
    inputs = X if first else RNG.normal(size=(5, tasks + 1, 6)).astype("float32")
    layer.build(inputs.shape)
    with_biases(layer.experts)
    outputs = np.asarray(layer(inputs))
    assert outputs.shape == (5, tasks + (not is_last), 4)
    gates = np.asarray(layer.gates)
    for row in range(5):
        of = [inputs[row] if first else inputs[row, k] for k in range(tasks + 1)]
        readers = [of[k] for k in range(tasks) for _ in range(own)]
        readers += [of[tasks]] * shared
        values = [expert_of(layer.experts, i)(x) for i, x in enumerate(readers)]
        for k in range(tasks):
            seen = values[k * own : (k + 1) * own] + values[tasks * own :]
            weights = softmax(of[k] @ gates[:, k])
            expected = sum(w * v for w, v in zip(weights, seen))
            np.testing.assert_allclose(outputs[row, k], expected, atol=1e-5)
        if not is_last:
            weights = softmax(of[tasks] @ np.asarray(layer.shared_gate))
            expected = sum(w * v for w, v in zip(weights, values))
            np.testing.assert_allclose(outputs[row, tasks], expected, atol=1e-5)


def test_an_expert_of_a_task_learns_from_no_other():
    import tensorflow as tf

    layer = ExtractionBlock(2, (3, 1), (4,), is_last=True)
    layer.build(X.shape)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(X)[:, 0] ** 2)
    gradient = np.asarray(tape.gradient(loss, layer.experts.kernels[0].value))
    assert np.abs(gradient[:, :3]).max() > 0
    assert np.abs(gradient[:, 3:6]).max() == 0, "those of the other task"
    assert np.abs(gradient[:, 6]).max() > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Experts(0, (4,)), "`num_experts` must be"),
        (lambda: Experts(2, ()), "`hidden_units` must be"),
        (lambda: MultiGate(0), "`num_gates` must be"),
        (lambda: ExtractionBlock(2, (0, 1), (4,)), "`num_experts` must be"),
        (lambda: ExtractionBlock(2, (3,), (4,)), "`num_experts` must be the number"),
        (lambda: Experts(2, (4,)).build((None, 3, 5)), r"its inputs are .*\(B, 2, N\)"),
        (
            lambda: ExtractionBlock(2, (1, 1), (4,)).build((None, 2, 5)),
            r"its inputs are \(B, N\) or \(B, 3, N\)",
        ),
    ],
)
def test_what_is_wrong_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("shape", [(6,), (3, 6)])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_at_once_and_one_by_one(shape, dropout, monkeypatch):
    """Both ways to compute are the same layer, also where it is trained."""
    import tensorflow as tf

    from keras_recs.layers.multi_task import experts

    layer = Experts(3, (5, 4), dropout=dropout, seed=1)
    x = tf.random.stateless_normal((7, *shape), (0, 1))
    layer.build(x.shape)
    for bias in layer.biases:
        bias.assign(np.random.default_rng(0).normal(size=bias.shape))
    found = []
    for one_by_one in (True, False):
        monkeypatch.setattr(
            experts, "runs_on_tensorflow_cpus", lambda way=one_by_one: way
        )
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x, training=dropout == 0)
            loss = tf.reduce_sum(output**2)
        weights = [weight.value for weight in layer.weights]
        found.append([output, *tape.gradient(loss, [x, *weights])])
        if dropout:
            dropped = layer(x, training=True).numpy()
            assert 0.2 < (dropped == 0).mean() < 0.95
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(6,), (3, 6)])
def test_extraction_at_once_and_one_by_one(shape, monkeypatch):
    from keras_recs.layers.multi_task import experts

    layer = ExtractionBlock(2, (2, 1), (4,))
    x = np.random.default_rng(0).normal(size=(7, *shape)).astype("float32")
    found = []
    for one_by_one in (True, False):
        monkeypatch.setattr(
            experts, "runs_on_tensorflow_cpus", lambda way=one_by_one: way
        )
        found.append(np.asarray(layer(x)))
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)
