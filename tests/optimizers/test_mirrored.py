"""Two replicas of half a batch train as one with the whole."""

import pytest

from tests.preloaded import run_preloaded

CODE = """
import sys
import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from keras_recs.copies_of import copies_of
from keras_recs.layers import FeatureEmbedding, TableConfig
from keras_recs.optimizers import (
    CompositeOptimizer, FusedAdam, LazyAdam, RowwiseAdagrad, SparseAdagrad, SparseFTRL,
)

def model():
    keras.utils.set_random_seed(3)
    inputs = {name: keras.Input((), name=name, dtype="int32") for name in ("x", "y")}
    fields = FeatureEmbedding(
        [TableConfig("a", 20, 4), TableConfig("b", 30, 4)], {"x": "a", "y": "b"},
        num_shards=2, name="table",
    )(inputs)
    output = keras.layers.Dense(1, activation="sigmoid", dtype="float32", name="out")
    return keras.Model(inputs, output(keras.layers.Flatten()(fields)))

rng = np.random.default_rng(4)
# Rows of both halves of a batch meet, and repeat within a half.
x = {"x": rng.integers(0, 20, 256).astype("int32"), "y": rng.integers(0, 5, 256).astype("int32")}
label = (x["x"] % 3 == 0).astype("float32")[:, None]

def fit(optimizer, strategy):
    with strategy.scope():
        network = model()
        network.compile(optimizer(), "binary_crossentropy")
    network.fit(
        tf.data.Dataset.from_tensor_slices((x, label)).batch(32, drop_remainder=True),
        epochs=3, shuffle=False, verbose=0,
    )
    for variable in network.weights + network.optimizer.variables:
        first, *others = (np.asarray(copy) for copy in copies_of(variable))
        for other in others:
            np.testing.assert_array_equal(first, other, err_msg=variable.path)
    return network.get_weights()

mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert mirrored.num_replicas_in_sync == 2
makers = {
    "clipped": lambda: SparseAdagrad(0.1, global_clipnorm=100.0),
    "adam": lambda: LazyAdam(0.01),
    "fused": lambda: FusedAdam(0.01),
    "ftrl": lambda: SparseFTRL(0.1),
    "composite": lambda: CompositeOptimizer(
        RowwiseAdagrad(0.1), {"out": keras.optimizers.SGD(0.1)}
    ),
}
for name in sys.argv[1:]:
    make = makers[name]
    one = fit(make, tf.distribute.get_strategy())
    two = fit(make, mirrored)
    for a, b in zip(one, two):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    print("equal")

# What callbacks do between steps, outside the scope, reaches every replica.
with mirrored.scope():
    network = model()
    network.compile(RowwiseAdagrad(0.1), "binary_crossentropy")
data = tf.data.Dataset.from_tensor_slices((x, label)).batch(32, drop_remainder=True)
network.fit(data, shuffle=False, verbose=0)
layer = network.get_layer("table")
rows = np.array([2, 3, 7])
layer.reset_rows("a", rows)
for variable, mine in layer.variable_rows("a", rows):
    network.optimizer.reset_rows(variable, mine)
    slots = network.optimizer._slots[network.optimizer._get_variable_index(variable)]
    for part in (variable, *slots):
        one, two = (np.asarray(copy) for copy in copies_of(part))
        np.testing.assert_array_equal(one, two)
    assert (np.asarray(copies_of(slots[0])[1])[mine] == np.float32(0.1 + 1e-7)).all()
network.fit(data, shuffle=False, verbose=0)
for shard in layer.shards:
    np.testing.assert_array_equal(*(np.asarray(copy) for copy in copies_of(shard)))
print("equal")
"""


@pytest.mark.distributed
@pytest.mark.parametrize(
    "names",
    [("adam", "composite"), pytest.param(("clipped", "ftrl"), marks=pytest.mark.large)],
    ids="-".join,
)
def test_two_replicas_train_as_one(names):
    assert run_preloaded("-c", CODE, *names).stdout.count("equal") == len(names) + 1
