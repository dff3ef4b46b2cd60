"""TensorFlow Recommenders beside Keras 3: its layers and ours give the same numbers.

`tf.keras` is what it is for the rest of a process: each case has one of its own.
"""

import importlib.util
import os

import pytest

from keras_recs.interop import import_tensorflow_recommenders
from tests.preloaded import run_preloaded

SHARED = """
import os
import numpy as np
import tensorflow as tf
import keras
import keras_recs
from keras_recs.interop import import_tensorflow_recommenders

os.environ.pop("TF_USE_LEGACY_KERAS", None)
rng = np.random.default_rng(0)

def normal(*shape):
    return rng.normal(size=shape).astype("float32")

def assert_equal(a, b):
    assert a.shape == b.shape, (a.shape, b.shape)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
"""

CROSS = """
tfrs = import_tensorflow_recommenders()
for rank in (None, 3):
    x0, x = normal(6, 8), normal(6, 8)
    ours = keras_recs.layers.CrossLayer(projection_dim=rank)
    theirs = tfrs.layers.dcn.Cross(projection_dim=rank)
    assert isinstance(theirs, tf.keras.layers.Layer)
    assert not isinstance(theirs, keras.layers.Layer)
    ours([x0, x]), theirs(x0, x)
    weights = [normal(*w.shape) for w in theirs.get_weights()]
    assert len(weights) == (2 if rank is None else 3)
    theirs.set_weights(weights)
    names = [weight.path.split("/", 1)[1] for weight in ours.weights]
    expected = ["dense/kernel", "dense/bias"]
    assert names == (expected if rank is None else ["down/kernel", *expected])
    ours.set_weights(weights)
    assert_equal(ours([x0, x]).numpy(), theirs(x0, x).numpy())
    # Gradients of the features and of the layer below.
    both = [tf.constant(x0), tf.constant(x)]
    upstream = normal(6, 8)
    for call in (ours, lambda pair: theirs(*pair)):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(both)
            loss = tf.reduce_sum(call(both) * upstream)
        found = [g.numpy() for g in tape.gradient(loss, both)]
        kernels = ours.weights if call is ours else theirs.weights
        kernels = [getattr(k, "value", k) if call is ours else k for k in kernels]
        found += [g.numpy() for g in tape.gradient(loss, kernels)]
        if call is ours:
            kept = found
    assert len(kept) == len(found) == 2 + len(weights)
    for a, b in zip(kept, found):
        assert_equal(a, b)
"""

DOT = """
tfrs = import_tensorflow_recommenders()
DotInteraction = tfrs.layers.feature_interaction.DotInteraction
for fields in (2, 5):
    x = normal(6, fields, 4)
    columns = [x[:, i] for i in range(fields)]
    ours = keras_recs.layers.DotInteraction()(x).numpy()
    assert_equal(ours, DotInteraction()(columns).numpy())
    # `self_interaction` adds each field's product with itself, in row order ...
    row, column = np.tril_indices(fields)
    full = DotInteraction(self_interaction=True)(columns).numpy()
    assert_equal(ours, full[:, row > column])
    assert_equal(np.sum(x**2, axis=-1), full[:, row == column])
    # ... and `skip_gather` leaves the zeros of the upper triangle in.
    square = DotInteraction(skip_gather=True)(columns).numpy()
    square = square.reshape(6, fields, fields)
    row, column = np.tril_indices(fields, k=-1)
    assert_equal(ours, square[:, row, column])
    assert_equal(np.triu(square), np.zeros_like(square))
"""

BOTH = """
model = keras.Sequential([keras.layers.Dense(4)])
query = normal(3, 5)
model(query)  # Keras 3, before
tfrs = import_tensorflow_recommenders()
assert os.environ["TF_USE_LEGACY_KERAS"] == "1"
assert issubclass(tf.keras.Model, tf.Module) and keras.__version__.startswith("3.")
assert tf.keras.Model is not keras.Model
assert import_tensorflow_recommenders() is tfrs

items, ids = normal(50, 4), np.array([f"item {i}" for i in range(50)])
index = tfrs.layers.factorized_top_k.BruteForce(k=3)
index.index(tf.constant(items), tf.constant(ids))
scores, best = index(model(query))
expected = np.argsort(-(model(query).numpy() @ items.T), axis=1)[:, :3]
assert (best.numpy().astype(str) == ids[expected]).all()
model.compile("adam", "mse")  # Keras 3, after
model.fit(query, normal(3, 4), verbose=0)
"""

TOO_LATE = """
tf.keras.layers.Dense(1)
for before in (None, "0"):
    if before is not None:
        os.environ["TF_USE_LEGACY_KERAS"] = before
    try:
        import_tensorflow_recommenders()
    except RuntimeError as error:
        print(error)
    assert os.environ.get("TF_USE_LEGACY_KERAS") == before
"""


@pytest.mark.smoke
@pytest.mark.parametrize("code", [CROSS, DOT, BOTH], ids=["cross", "dot", "both"])
def test_beside_keras_3(code):
    run_preloaded("-c", SHARED + code)


@pytest.mark.smoke
def test_too_late():
    done = run_preloaded("-c", SHARED + TOO_LATE)
    lines = [line for line in done.stdout.splitlines() if "tensorflow-rec" in line]
    assert len(lines) == 2
    for line in lines:
        assert "needs `tf.keras` to be Keras 2" in line
        assert "already is Keras 3." in line
        assert "before anything uses `tf.keras`" in line
        assert "start the process with TF_USE_LEGACY_KERAS=1" in line


@pytest.mark.parametrize("absent", ["tensorflow-recommenders", "tf-keras"])
def test_absent(absent, monkeypatch):
    found = importlib.util.find_spec

    def find_spec(name, *arguments):
        if name == absent.replace("-", "_"):
            return None
        return found(name, *arguments)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    before = dict(os.environ)
    with pytest.raises(ImportError, match=rf"package {absent} is not.*pip install"):
        import_tensorflow_recommenders()
    assert dict(os.environ) == before
