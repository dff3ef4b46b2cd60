"""Sums that several workers add to at once, of which nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class AtomicSums(keras.StatelessScope):
    """While a step is traced, what it adds to sums is added in one operation.

    Keras reads a metric or the count of steps, adds and writes it back; between two
    workers that loses some of it. In this scope metrics begin at zero, and `add` brings
    what they then have to the servers; a count is added to as it is written. All other
    variables are assigned as ever.

    Args:
        metrics: Keras variables that are sums over examples.
        counts: Keras variables of one integer, such as an optimizer's `iterations`.
    """

    def __init__(self, metrics: Sequence[Any], counts: Sequence[Any]):
        super().__init__(
            [(v, keras.ops.zeros(v.shape, v.dtype)) for v in metrics],
            collect_losses=True,
            initialize_variables=False,
        )
        self._metrics = list(metrics)
        self._bases = {id(v): v._value.read_value() for v in counts}
        self.state_mapping |= self._bases
        self._sums = {id(v) for v in metrics}

    def add_update(self, update):
        """Takes what Keras assigns."""
        variable, value = update
        if id(variable) in self._sums:
            super().add_update(update)
        elif id(variable) in self._bases:
            _add(variable, value - self._bases[id(variable)])
        else:
            variable._direct_assign(value)

    def add(self) -> None:
        """Adds what the metrics of this step have to those of all."""
        for variable in self._metrics:
            _add(variable, self.get_current_value(variable))


def _add(variable: Any, value: Any) -> None:
    import tensorflow as tf

    tf.raw_ops.AssignAddVariableOp(
        resource=variable._value.handle, value=tf.cast(value, variable._value.dtype)
    )
