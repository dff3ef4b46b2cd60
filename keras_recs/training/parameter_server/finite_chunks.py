"""Steps of workers whose gradients are not finite are caught before the push."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_recs.training.finite_steps import (
    LARGE,
    check_policy,
    names_of,
    sums_of,
)
from keras_recs.training.late_updates import graph_here

MARK = "the gradients of"  # how what it says begins


class FiniteChunks:
    """Checks gradients where they are computed, in the graph of the worker.

    Args:
        policy: `"stop"`, `"skip"` or `"ignore"`, as `fit` takes it.
        on_skip: called where a step is left out, in the graph.
    """

    def __init__(self, policy: str, on_skip: Callable[[], None]):
        check_policy(policy)
        self.policy = policy
        self._on_skip = on_skip

    @contextlib.contextmanager
    def watching(self, model: keras.Model, batch: Any, place: Any) -> Iterator[list]:
        """Checks the gradients of the step that is traced in the block.

        Args:
            model: compiled `keras.Model`.
            batch: what the step trains.
            place: string tensor. What the step is called in a message.

        Yields:
            A list that holds a bool tensor, once the step is traced: whether it was
            applied. Empty where all are.
        """
        optimizer = model.optimizer
        finite: list[Any] = []
        if self.policy == "ignore":
            yield finite
            return
        apply, graph = optimizer.apply, graph_here()

        def checked_apply(grads, trainable_variables=None):
            import tensorflow as tf

            grads = list(grads)
            variables = trainable_variables or optimizer._trainable_variables
            sums = sums_of(g for g in grads if g is not None)
            names = [v.path for g, v in zip(grads, variables) if g is not None]
            is_finite = tf.reduce_all(tf.math.is_finite(sums))
            if sums.graph is not graph:
                raise ValueError(
                    "Under parameter servers a `train_step` must apply its gradients "
                    "outside of `tf.cond` and loops. Give `on_nonfinite='ignore'` to "
                    "train it without the check."
                )

            def message():
                return _message(place, names, sums, batch)

            if self.policy == "stop":
                text = tf.cond(is_finite, lambda: tf.constant(""), message)
                # All that the update writes comes after it.
                with tf.control_dependencies([tf.debugging.Assert(is_finite, [text])]):
                    finite.append(tf.identity(is_finite))
                    return apply(grads, trainable_variables)

            def update():
                apply(grads, trainable_variables)
                return 0

            def leave_out():
                tf.print(message(), "The batch is left out.")
                self._on_skip()
                return 0

            finite.append(is_finite)
            return tf.cond(is_finite, update, leave_out)

        optimizer.apply = checked_apply
        try:
            yield finite
        finally:
            del optimizer.apply


def _message(place: Any, names: list[str], sums: Any, batch: Any) -> Any:
    """Which gradients are not finite, and what in the batch may be the reason."""
    import tensorflow as tf

    bad = tf.boolean_mask(names, tf.logical_not(tf.math.is_finite(sums)))
    parts = [
        place,
        ": ",
        MARK,
        " ",
        tf.strings.as_string(tf.size(bad)),
        " variables are not finite (",
        tf.strings.reduce_join(bad[:3], separator=", "),
        ").",
    ]
    tensors = [t for t in tf.nest.flatten(batch) if t is not None]
    for name, tensor in zip(names_of(batch), tensors):
        if tensor.dtype.is_floating:
            parts.append(_reason(name, tensor))
    return tf.strings.join(parts)


def _reason(name: str, tensor: Any) -> Any:
    """What is strange about a tensor, or no text."""
    import tensorflow as tf

    strange = tf.logical_or(
        tf.logical_not(tf.math.is_finite(tensor)), tf.abs(tensor) > LARGE
    )
    where = tf.where(strange)

    def say():
        value = tf.gather_nd(tensor, where[0])
        return tf.strings.join(
            [
                f" {name} is ",
                tf.strings.as_string(tf.cast(value, tf.float32), shortest=True),
                " in row ",
                tf.strings.as_string(where[0, 0]),
                " of the batch.",
            ]
        )

    return tf.cond(tf.size(where) > 0, say, lambda: tf.constant(""))
