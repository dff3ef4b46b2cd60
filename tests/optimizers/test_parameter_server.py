"""Shards of a table on two parameter servers, each with its slots; rows of the batch."""

import pytest

from tests.preloaded import run_preloaded

CODE = """
import socket
import numpy as np
import tensorflow as tf

tf.config.threading.set_inter_op_parallelism_threads(4)

def address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"

jobs = {"worker": [address()], "ps": [address(), address()], "chief": [address()]}
cluster = tf.train.ClusterSpec(jobs)
config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=4)
servers = [
    tf.distribute.Server(cluster, job_name=job, task_index=task, config=config)
    for job, task in (("worker", 0), ("ps", 0), ("ps", 1))
]
resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(cluster, rpc_layer="grpc")
strategy = tf.distribute.ParameterServerStrategy(resolver)
coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)

import keras
from keras_recs.layers import FeatureEmbedding, TableConfig
from keras_recs.layers.embedding import stacked_tables
from keras_recs.layers.embedding.shard_initializer import ShardInitializer
from keras_recs.optimizers import RowwiseAdagrad

# Small tables are filled as large ones: chunk by chunk, where they are.
stacked_tables.ShardInitializer = lambda *a: ShardInitializer(*a, chunk_bytes=64)
with strategy.scope():
    x = keras.Input((), name="x", dtype="int32")
    layer = FeatureEmbedding([TableConfig("a", 50, 4)], {"x": "a"}, num_shards=2)
    flat = keras.layers.Flatten()(layer({"x": x}))
    model = keras.Model({"x": x}, keras.layers.Dense(1)(flat))
    optimizer = RowwiseAdagrad(0.1)
    optimizer.build(model.trainable_variables)

devices = [shard.value.device for shard in layer.shards]
assert len(set(devices)) == 2, devices
for shard, device in zip(layer.shards, devices):
    (slot,) = optimizer._slots[optimizer._get_variable_index(shard)]
    assert slot.value.device == device
before = layer.read_rows("a", np.arange(50))
assert before.std() > 0.01 and len(np.unique(before)) == 200

def step(rows):
    variables = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model({"x": rows}) - 1.0) ** 2)
    optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)
    return loss

run = tf.function(lambda rows: strategy.run(step, args=(rows,)))
rows = tf.constant([3, 3, 7, 8])
losses = [float(coordinator.schedule(run, args=(rows,)).fetch()) for _ in range(5)]
assert losses[-1] < 0.2 * losses[0], losses
after = layer.read_rows("a", np.arange(50))
assert np.flatnonzero((after != before).any(axis=1)).tolist() == [3, 7, 8]
layer.reset_rows("a", np.array([3, 8]))
for variable, mine in layer.variable_rows("a", np.array([3, 8])):
    optimizer.reset_rows(variable, mine)
    (slot,) = optimizer._slots[optimizer._get_variable_index(variable)]
    assert (np.asarray(slot)[mine] == np.float32(0.1 + 1e-7)).all()
print("trained", flush=True)
import os
os._exit(0)  # the servers have no end of their own
"""


@pytest.mark.distributed
def test_a_table_on_two_servers():
    assert run_preloaded("-c", CODE).stdout.split()[-1] == "trained"
