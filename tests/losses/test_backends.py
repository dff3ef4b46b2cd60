"""The same losses and gradients on TensorFlow, JAX and PyTorch."""

import numpy as np
import pytest

from tests.harness import ROOT, run_python

PYTHON = ROOT / ".venv-backends" / "bin" / "python"

CODE = """
import sys
import keras
import numpy as np
from keras import ops
from keras_recs import losses
from keras_recs.layers import PredictionHeads

backend, path = keras.backend.backend(), sys.argv[1]
rng = np.random.default_rng(0)
hidden, table = rng.normal(size=(6, 4)), rng.normal(size=(50, 4))
bias, targets = rng.normal(size=50), rng.integers(0, 50, 6)
weights = rng.normal(size=6).astype("float32")
scores, counts = rng.normal(size=(3, 4, 6)), rng.choice([0, 0.5, 1], size=(3, 4, 6))
results = {}

def gradients(name, function, *arrays):
    arrays = [array.astype("float32") for array in arrays]
    if backend == "jax":
        import jax
        both = jax.jit(jax.value_and_grad(lambda arrays: function(*arrays)))
        value, found = both(arrays)
    elif backend == "torch":
        import torch
        arrays = [torch.tensor(array, requires_grad=True) for array in arrays]
        value = function(*arrays)
        value.backward()
        value, found = value.detach(), [array.grad for array in arrays]
    else:
        import tensorflow as tf
        arrays = [tf.constant(array) for array in arrays]
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            value = function(*arrays)
        found = [tf.convert_to_tensor(g) for g in tape.gradient(value, arrays)]
    results[name] = np.asarray(value)
    results.update({f"{name} {i}": np.asarray(g) for i, g in enumerate(found)})

for size in (7, 10, 64):
    def catalogue(hidden, table, bias):
        found = losses.catalogue_cross_entropy(hidden, table, targets, bias, size)
        return ops.sum(found * ops.convert_to_tensor(weights))
    gradients(f"catalogue {size}", catalogue, hidden, table, bias)
    gradients(
        f"no bias {size}",
        lambda hidden, table: ops.sum(
            losses.catalogue_cross_entropy(hidden, table, targets, chunk_size=size)
        ),
        hidden, table,
    )
    gradients(
        f"weighed {size}",
        lambda hidden, table, bias: losses.catalogue_cross_entropy(
            hidden, table, targets, bias, size, weights
        ),
        hidden, table, bias,
    )
for loss in (
    losses.CandidateBinaryCrossentropy(), losses.GeneralizedBinaryCrossentropy(30),
    losses.BayesianPersonalizedRanking(), losses.BPRMax(), losses.Top1(),
    losses.Top1Max(), losses.SampledSoftmax(0.5),
):
    gradients(loss.name, lambda scores: loss(counts, scores, np.arange(3)), scores)
gradients(
    "in batch",
    lambda scores: losses.SampledSoftmax()(
        np.ones((4, 6)),
        losses.positive_first(losses.correct_scores(scores, np.zeros(6), 0.5)),
    ),
    scores[0],
)
gradients(
    "info_nce",
    lambda a, b: ops.sum(losses.info_nce(a, b, ids=np.array([0, 1, 1, 2, 3, 4]))),
    hidden, hidden[::-1],
)
heads = PredictionHeads({"click": "binary", "order": "binary"}, {"order": "click"})
rare = np.array([[-10.4, -10.4], [-9, 4], [0, 0], [-20, -20]])
gradients(
    "funnel",
    lambda logits: losses.FunnelCrossentropy()(
        np.array([[1.0], [1.0], [0.0], [1.0]]), heads([], logits=[logits])["order"]
    ),
    rare,
)
np.savez(path, **results)
assert backend == "tensorflow" or "tensorflow" not in sys.modules
"""


def run(folder, backend, **options):
    path = folder / f"{backend}.npz"
    run_python("-c", CODE, path, KERAS_BACKEND=backend, **options)
    with np.load(path) as found:
        return {name: found[name] for name in found}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return run(tmp_path_factory.mktemp("backends"), "tensorflow")


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_same_results(expected, backend, tmp_path):
    if not PYTHON.exists():
        pytest.skip("`make test-backends` builds the environment with JAX and PyTorch")
    found = run(tmp_path, backend, python=PYTHON)
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(
            found[name], values, rtol=1e-4, atol=1e-5, err_msg=name
        )
