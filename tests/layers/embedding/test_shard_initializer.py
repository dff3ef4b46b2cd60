"""Initial values of shards, drawn at once or a chunk at a time."""

import keras
import numpy as np
import pytest

from keras_recs.layers.embedding.shard_initializer import ShardInitializer
from keras_recs.layers.embedding.stacked_tables import StackedTables

kinds = keras.initializers
DIM = 8


def filled(initializers, num_rows, chunk_bytes, number=0, num_shards=1):
    """What a variable made with the initializer holds."""
    initializer = ShardInitializer(
        initializers, num_rows, number, num_shards, chunk_bytes
    )
    rows = len(range(number, sum(num_rows), num_shards))
    variable = keras.Variable(initializer, shape=(rows, DIM))
    initializer.finish(variable)
    return np.asarray(variable)


@pytest.mark.parametrize("chunk_bytes", [2**30, 4 * DIM * 7])
@pytest.mark.parametrize(
    ("initializer", "mean", "deviation"),
    [
        (kinds.RandomUniform(-0.5, 0.3, seed=1), -0.1, 0.8 / 12**0.5),
        (kinds.RandomNormal(0.2, 0.5, seed=1), 0.2, 0.5),
        (kinds.GlorotUniform(seed=1), 0.0, (2 / (900 + DIM)) ** 0.5),
        (kinds.GlorotNormal(seed=1), 0.0, (2 / (900 + DIM)) ** 0.5),
        (kinds.Constant(0.25), 0.25, 0.0),
        (kinds.Orthogonal(seed=1), 0.0, None),
    ],
)
def test_distribution(initializer, mean, deviation, chunk_bytes):
    """In chunks too, and with the fans of the table, not of a chunk."""
    values = filled([initializer], [900], chunk_bytes)
    if deviation is None:  # the whole table at once: its columns are orthonormal
        np.testing.assert_allclose(values.T @ values, np.eye(DIM), atol=1e-5)
        return
    assert abs(values.mean() - mean) <= 4 * deviation / values.size**0.5
    assert abs(values.std() - deviation) <= 0.05 * deviation
    if deviation:
        assert len(np.unique(values)) > 0.98 * values.size  # no chunk twice


@pytest.mark.parametrize("chunk_bytes", [2**30, 4 * DIM * 7])
@pytest.mark.parametrize("num_shards", [1, 3])
def test_each_table_has_its_own(chunk_bytes, num_shards):
    shared = kinds.RandomUniform(1.0, 2.0, seed=1)
    initializers = [shared, shared, kinds.Constant(-1.0), shared]
    num_rows = [10, 5, 12, 9]
    table = np.repeat(np.arange(4), num_rows)
    seen = []
    for number in range(num_shards):
        values = filled(initializers, num_rows, chunk_bytes, number, num_shards)
        mine = table[number::num_shards]
        assert (values[mine == 2] == -1).all()
        assert (values[mine != 2] >= 1).all()
        seen.append(values[mine != 2])
    seen = np.concatenate(seen)
    assert len(np.unique(seen)) > 0.98 * seen.size


def test_seeds_give_the_same_numbers_again():
    initializer = kinds.RandomNormal(seed=3)
    for chunk_bytes in (2**30, 100):
        one, two = (filled([initializer], [50], chunk_bytes) for _ in range(2))
        np.testing.assert_array_equal(one, two)


def test_a_large_table_of_a_layer_is_filled(monkeypatch):
    monkeypatch.setattr(
        "keras_recs.layers.embedding.stacked_tables.ShardInitializer",
        lambda *arguments: ShardInitializer(*arguments, chunk_bytes=64),
    )
    layer = StackedTables(
        (30, 20),
        4,
        storage_dtype="bfloat16",
        num_shards=2,
        embeddings_initializers=kinds.RandomUniform(1.0, 2.0, seed=0),
    )
    layer.build()
    values = layer.read_rows(np.arange(50))
    assert values.min() >= 1 and values.std() > 0.2


def test_every_replica_is_filled():
    """Two replicas start equal, and none with zeros."""
    from tests.preloaded import run_preloaded

    done = run_preloaded("-c", REPLICAS)
    assert done.stdout.split()[-1] == "equal"


REPLICAS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
import keras, numpy as np
from keras_recs.layers.embedding.shard_initializer import ShardInitializer
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    initializer = ShardInitializer(
        [keras.initializers.RandomUniform(1.0, 2.0)], [50], chunk_bytes=100
    )
    variable = keras.Variable(initializer, shape=(50, 4))
    initializer.finish(variable)
one, two = (np.asarray(part) for part in variable.value.values)
assert one.min() >= 1
np.testing.assert_array_equal(one, two)
print("equal")
"""
