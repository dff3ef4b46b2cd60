"""The same tables and optimizers on TensorFlow, JAX and torch."""

from pathlib import Path

import numpy as np
import pytest

from tests.harness import ROOT, run_python

PYTHON = ROOT / ".venv-backends" / "bin" / "python"

CODE = """
import json, sys
import keras
import numpy as np
from keras_recs.layers import (
    BatchL2, Compositional, FeatureEmbedding, MultiHash, QuotientRemainder, TableConfig,
)
from keras_recs.optimizers import LazyAdam, RowwiseAdagrad, SparseAdagrad, SparseFTRL

TABLES = [
    TableConfig("plain", 9, 4),
    TableConfig("short", 12, 2),
    TableConfig("half", 9, 4, dtype="bfloat16"),
    TableConfig("quotient", 40, 4, compression=QuotientRemainder(7, "add")),
    TableConfig("digits", 60, 4, compression=Compositional((4, 4, 4))),
    TableConfig("hashed", 500, 4, compression=MultiHash(13, operation="concatenate")),
]
FEATURES = {
    "a": "plain", "b": "short", "c": "half", "d": "quotient", "e": "digits",
    "f": "hashed", "many": "plain", "weighed": "short", "top": "plain",
}
COMBINERS = {"many": "sqrtn", "weighed": "mean", "top": "max"}

rng = np.random.default_rng(0)
x = {
    name: rng.integers(-1, {"plain": 10, "short": 13, "half": 10, "quotient": 41,
                            "digits": 61, "hashed": 501}[FEATURES[name]], 24)
    for name in "abcdef"
}
x = {name: value.astype("int32") for name, value in x.items()}
for name in ("many", "weighed", "top"):
    x[name] = rng.integers(0, 9, (24, 3)).astype("int32")
x["w"] = rng.uniform(0.1, 2, (24, 3)).astype("float32")
x["w"][3, 1] = np.nan
y = rng.integers(0, 2, (24, 1)).astype("float32")

def make():
    inputs = {
        name: keras.Input(value.shape[1:], name=name, dtype=str(value.dtype))
        for name, value in x.items()
    }
    layer = FeatureEmbedding(
        TABLES, FEATURES, COMBINERS, {"weighed": "w"}, num_shards=2,
        embeddings_regularizer=BatchL2(0.01), name="table",
    )
    fields = layer(inputs)
    output = keras.layers.Dense(1, activation="sigmoid", name="out")
    model = keras.Model(inputs, output(keras.layers.Flatten()(fields)))
    draw = np.random.default_rng(1)
    model.set_weights([draw.normal(scale=0.1, size=w.shape) for w in model.weights])
    return model, keras.Model(inputs, fields)

results = {}
model, fields = make()
results["fields"] = fields.predict(x, batch_size=8, verbose=0)
for optimizer in (
    RowwiseAdagrad(0.1), SparseAdagrad(0.1, global_clipnorm=0.5), LazyAdam(0.05),
    SparseFTRL(0.1, l1=0.01),
):
    model, fields = make()
    compiled = keras.backend.backend() == "jax"  # as it is by default there
    model.compile(optimizer, "binary_crossentropy", jit_compile=compiled)
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    results[type(optimizer).__name__] = fields.predict(x, batch_size=8, verbose=0)
np.savez(sys.argv[1], **results)
"""


def run(folder, backend, **options):
    path = Path(folder) / f"{backend}.npz"
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
        assert np.isfinite(values).all()
        # A bfloat16 table rounds at random on TensorFlow, to the nearest elsewhere.
        exact = np.delete(found[name] - values, 2, axis=1)
        assert np.abs(exact).max() < (1e-6 if name == "fields" else 2e-3), name
        assert np.abs(found[name] - values).max() < 0.02, name
