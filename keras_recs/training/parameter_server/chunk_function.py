"""What a worker does with a chunk of the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_recs.data.record_source import Chunk, RecordSource
from keras_recs.training.parameter_server.atomic_sums import AtomicSums
from keras_recs.training.parameter_server.finite_chunks import FiniteChunks
from keras_recs.training.parameter_server.one_replica import one_replica
from keras_recs.training.parameter_server.progress import Progress


def chunk_arguments(chunk: Chunk, number: int, epoch: int, limit: int) -> tuple:
    """What the chunk function takes.

    Args:
        chunk: `Chunk` of the source.
        number: int. Of the chunk.
        epoch: int.
        limit: int. Steps after which it returns, if it is not through.
    """
    import tensorflow as tf

    return (
        tf.constant(chunk.path),
        tf.constant(chunk.compression),
        *(
            tf.constant(value, tf.int64)
            for value in (
                chunk.first,
                chunk.num_records,
                chunk.num_steps,
                number,
                epoch,
                limit,
            )
        ),
    )


def chunk_function(
    model: keras.Model,
    strategy: Any,
    source: RecordSource,
    progress: Progress,
    finite: FiniteChunks,
) -> Callable:
    """Makes the function that a worker runs, traced once for all chunks.

    Each step gathers the rows and weights that it needs from the servers, and pushes
    its gradients there. A step is counted when all of it is applied. Between steps it
    returns if it is asked to make a pause, but not before it made one.

    Args:
        model: compiled and built `keras.Model`, made in the strategy's scope.
        strategy: ParameterServerStrategy.
        source: where the records are.
        progress: `Progress`.
        finite: `FiniteChunks`.
    """
    import tensorflow as tf

    with strategy.scope():  # so that each worker has lookup tables of its own
        to_batch = source.batch_function()
    counts = [
        variable
        for variable in model.optimizer.variables
        if len(variable.shape) == 0 and keras.backend.is_int_dtype(variable.dtype)
    ]

    late = model.non_trainable_variables

    @tf.function(reduce_retracing=True, autograph=False)
    def step(batch, place):
        with (
            one_replica(strategy),
            finite.watching(model, batch, place) as applied,
            AtomicSums(model.metrics_variables, counts, late) as sums,
        ):
            model.train_step(batch)
        if applied:
            tf.cond(tf.reduce_all(applied), lambda: (sums.add(), 0)[1], lambda: 0)
        else:
            sums.add()
        return tf.constant(0)

    @tf.function(autograph=False)
    def train_chunk(path, compression, first, num_records, steps, number, epoch, limit):
        done = progress.done(epoch, number)
        records = source.records(
            path, compression, first, num_records, epoch, number, done
        )
        batches = iter(source.batches(records, to_batch))
        end = tf.minimum(steps, done + limit)

        def train_one(now, _):
            words = ["Epoch ", epoch, ", '", path, "', record ", first, ", batch ", now]
            place = tf.strings.join(
                [w if _is_text(w) else tf.strings.as_string(w) for w in words]
            )
            with tf.control_dependencies([step(next(batches), place)]):
                now += 1
                progress.add(epoch, number, now)
            return now, progress.goes_on(epoch, number, now)

        now, _ = tf.while_loop(
            lambda now, goes_on: tf.logical_and(now < end, goes_on),
            train_one,
            (done, tf.greater_equal(done, 0)),
            parallel_iterations=1,
        )
        return now

    return train_chunk


def _is_text(word: Any) -> bool:
    return isinstance(word, str) or word.dtype == "string"
