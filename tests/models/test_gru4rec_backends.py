"""Training with a carried state gives the same on TensorFlow, JAX and PyTorch."""

import numpy as np
import pytest

from tests.harness import ROOT, run_python

PYTHON = ROOT / ".venv-backends" / "bin" / "python"

CODE = """
import sys
import keras
import numpy as np
from keras_recs import Schema, SequenceFeature, losses
from keras_recs.data import PopularitySampler, session_batches
from keras_recs.models import gru4rec

feature = SequenceFeature("items", vocabulary_size=9, max_length=5, padding="left")
model = gru4rec(Schema([feature], []), hidden_units=(4, 6), num_slots=3)
rng = np.random.default_rng(0)
for weight in model.trainable_weights:
    weight.assign(rng.normal(size=weight.shape, scale=0.7))
sessions = [rng.integers(1, 11, n) for n in (2, 5, 3, 9, 4, 2, 6, 3)]
sampler = PopularitySampler(np.arange(1, 10), 0.5)
batches = session_batches(sessions, 3, 2, sampler=sampler, num_negatives=4)
model.compile(keras.optimizers.SGD(0.1), losses.BPRMax())
found = {}
for i in range(batches.num_batches):  # `fit` counts epochs in another way on each
    found[f"loss {i}"] = model.train_on_batch(*batches[i])
    model.reset_metrics()
found |= {f"weight {i}": weight for i, weight in enumerate(model.get_weights())}
rows = np.array([[0, 0, 3], [4, 5, 6], [0, 0, 0]], "int32")
found["query"] = model.query_model().predict({"items": rows}, verbose=0)
assert keras.backend.backend() == sys.argv[2]
np.savez(sys.argv[1], **found)
"""


def run(folder, backend, **options):
    path = folder / f"{backend}.npz"
    run_python("-c", CODE, path, backend, KERAS_BACKEND=backend, **options)
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
