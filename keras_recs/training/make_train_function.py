"""The function that trains one batch, or several, under any strategy."""

from __future__ import annotations

from typing import Any

import keras

from keras_recs.training.workers import Workers


def make_train_function(model: keras.Model) -> None:
    """Makes `model.train_function` anew.

    Keras's own does not work with several workers: it reduces logs over an axis that
    they do not have. There each worker gets the logs of its own first replica; the
    metrics at the end of an epoch are those of all workers.

    Args:
        model: compiled `keras.Model`.
    """
    strategy = model.distribute_strategy
    if not Workers(strategy).is_multi:
        model.make_train_function(force=True)
        return
    import tensorflow as tf

    @tf.function(reduce_retracing=True, autograph=False)  # as Keras's own
    def train_function(batches) -> dict[str, Any]:
        logs = strategy.run(model.train_step, args=(next(batches),))
        return tf.nest.map_structure(
            lambda value: strategy.experimental_local_results(value)[0], logs
        )

    model.train_function = train_function
