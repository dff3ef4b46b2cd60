"""Rows of a table that may be split into shards."""

import keras
from keras import ops


def gather_rows(shards, rows):
    """Gathers rows from a table whose row r is row r // N of shard r mod N.

    On TensorFlow it reads from the variable itself, so that the gradient stays sparse
    and no second owner of the table's memory forces a copy at the next update.

    Args:
        shards: list of N Keras variables `(rows of the shard, D)`.
        rows: int tensor of any shape.

    Returns:
        Tensor of the shape of `rows` plus `(D,)`.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        variables = [shard.value for shard in shards]
        return tf.compat.v1.nn.embedding_lookup(
            variables, rows, partition_strategy="mod"
        )
    if len(shards) == 1:
        return ops.take(shards[0], rows, axis=0)
    shard_of_row = rows % len(shards)
    local = rows // len(shards)
    result = 0.0
    for number, shard in enumerate(shards):
        mine = shard_of_row == number
        values = ops.take(shard, ops.where(mine, local, 0), axis=0)
        result = result + ops.where(mine[..., None], values, 0.0)
    return result
