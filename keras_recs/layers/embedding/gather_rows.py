"""Rows of a table that may be split into shards."""

import functools

import keras
from keras import ops


def gather_rows(shards, rows):
    """Gathers rows from a table whose row r is row r // N of shard r mod N.

    On TensorFlow it reads from the variable itself, so that the gradient stays sparse
    and no second owner of the table's memory forces a copy at the next update. A row of
    a table on a parameter server travels once, whatever the number of times it is asked
    for, and so does the sum of its gradients.

    Args:
        shards: list of N Keras variables `(rows of the shard, D)`.
        rows: int tensor of any shape.

    Returns:
        Tensor of the shape of `rows` plus `(D,)`.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        variables = [shard.value for shard in shards]
        look_up = functools.partial(
            tf.compat.v1.nn.embedding_lookup, variables, partition_strategy="mod"
        )
        if _is_remote(variables[0]):
            return _gather_distinct(look_up, rows)
        return look_up(rows)
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


def _is_remote(variable):
    return "/job:ps" in (getattr(variable, "device", None) or "")


def _gather_distinct(look_up, rows):
    import tensorflow as tf

    distinct, positions = tf.unique(tf.reshape(rows, [-1]))

    @tf.custom_gradient
    def spread(values):
        def summed(gradient):
            gradient = tf.reshape(gradient, [-1, gradient.shape[-1]])
            return tf.math.unsorted_segment_sum(
                gradient, positions, tf.shape(values)[0]
            )

        at_rows = tf.gather(values, positions)
        shape = tf.concat([tf.shape(rows), tf.shape(values)[1:]], 0)
        result = tf.reshape(at_rows, shape)
        result.set_shape(rows.shape.concatenate(values.shape[1:]))
        return result, summed

    return spread(look_up(distinct))
