"""What the forward pass of a step assigns waits until the step is known to be good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class LateUpdates(keras.StatelessScope):
    """While a step is traced, what it assigns to some variables is held back.

    Moving averages of a normalization are assigned in the forward pass, before anybody
    knows whether the gradients are finite. In the scope they have their new values;
    `assign` brings these to the variables. All other variables are assigned as ever.

    Args:
        variables: Keras variables.
    """

    def __init__(self, variables: Sequence[Any]):
        super().__init__(collect_losses=True, initialize_variables=False)
        self._variables = {id(variable): variable for variable in variables}
        self._held: dict[int, Any] = {}

    def __enter__(self):
        self._graph = graph_here()
        return super().__enter__()

    def add_update(self, update):
        """Takes what Keras assigns."""
        variable, value = update
        # A value of a branch or loop is not known outside of it.
        is_here = getattr(value, "graph", None) is self._graph
        if id(variable) in self._variables and is_here:
            self._held[id(variable)] = value
            super().add_update(update)
        else:
            variable._direct_assign(value)

    def get_current_value(self, variable):
        """What the variable has in the scope."""
        value = super().get_current_value(variable)
        # Keras asks here for what its regularizers take.
        return variable._value if value is None else value

    def assign(self) -> None:
        """Assigns what was held back."""
        for number, value in self._held.items():
            self._variables[number]._direct_assign(value)


def graph_here() -> Any:
    """The graph that is being traced, or `None`."""
    import tensorflow as tf

    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
