"""Sums that several workers add to at once, of which nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_recs.training.late_updates import LateUpdates


class AtomicSums(LateUpdates):
    """While a step is traced, what it adds to sums is added in one operation.

    Keras reads a metric or the count of steps, adds and writes it back; between two
    workers that loses some of it. In this scope metrics begin at zero, and `add` brings
    what they then have to the servers; a count is added to as it is written.

    Args:
        metrics: Keras variables that are sums over examples.
        counts: Keras variables of one integer, such as an optimizer's `iterations`.
        late: Keras variables, as `LateUpdates` takes them; `add` assigns them too.
    """

    def __init__(
        self, metrics: Sequence[Any], counts: Sequence[Any], late: Sequence[Any] = ()
    ):
        super().__init__(late)
        self._metrics = {id(v): v for v in metrics}
        self._bases = {id(v): v._value.read_value() for v in counts}
        self.state_mapping |= self._bases
        for number, variable in self._metrics.items():
            self.state_mapping[number] = keras.ops.zeros(variable.shape, variable.dtype)

    def add_update(self, update):
        """Takes what Keras assigns."""
        variable, value = update
        if id(variable) in self._metrics:
            self.state_mapping[id(variable)] = value
        elif id(variable) in self._bases:
            _add(variable, value - self._bases[id(variable)])
        else:
            super().add_update(update)

    def add(self) -> None:
        """Adds what the metrics of this step have to those of all."""
        for number, variable in self._metrics.items():
            _add(variable, self.state_mapping[number])
        self.assign()


def _add(variable: Any, value: Any) -> None:
    import tensorflow as tf

    tf.raw_ops.AssignAddVariableOp(
        resource=variable._value.handle, value=tf.cast(value, variable._value.dtype)
    )
