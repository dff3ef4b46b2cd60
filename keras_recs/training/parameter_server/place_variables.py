"""Which parameter server holds which variable."""

from __future__ import annotations

import logging
from typing import Any

import keras

from keras_recs.training.parameter_server.server_loads import ServerLoads

_logger = logging.getLogger(__name__)
_NAMED = 3  # variables that a message names


class PlaceByBytes:
    """Gives each new variable to the server that has the fewest bytes so far.

    TensorFlow itself counts variables. Slots of an optimizer lie beside their
    variables, and count where they lie. Variables that were measured go where the
    measured loads are even.

    Args:
        strategy: `tf.distribute.experimental.ParameterServerStrategy`.
        measured: `ServerLoads` of the model. Defaults to `None`.

    Attributes:
        loads: list of int. Bytes of each server.
    """

    def __init__(self, strategy: Any, measured: ServerLoads | None = None):
        self._extended = strategy.extended
        self._planned = {}
        if measured is not None:
            planned = measured.planned(self._extended._num_ps)
            self._planned = {load.name: load for load in planned.variables}
        self.loads = [0] * self._extended._num_ps
        self._create = self._extended._create_variable
        self._create_in_turn = self._extended._create_variable_round_robin
        self._extended._create_variable = self._placed
        self._extended._create_variable_round_robin = self._on_lightest

    def check(self, model: keras.Model) -> None:
        """Compares the model with the one that was measured, if one was.

        Args:
            model: built `keras.Model`, made in the strategy's scope.

        Raises:
            ValueError: for another model; what differs is named.
        """
        if not self._planned:
            return
        here = {v.path: tuple(v.shape) for v in model.trainable_variables}
        measured = {load.name: load.shape for load in self._planned.values()}
        if here != measured:
            differ = sorted(
                path
                for path in here.keys() | measured.keys()
                if here.get(path) != measured.get(path)
            )
            lines = [
                f"'{path}' was {_known(measured, path)} and is {_known(here, path)}"
                for path in differ[:_NAMED]
            ]
            raise ValueError(
                "`placement` was measured of another model. Of "
                f"{len(differ)} variables that differ: {', '.join(lines)}. Measure "
                "this one with `server_report`, or leave `placement` out."
            )
        elsewhere = [
            v.path
            for v in model.trainable_variables
            if server_of(v._value) != self._planned[v.path].server
        ]
        if elsewhere:
            _logger.warning(
                "%d variables were placed by their bytes, as they had no path when "
                "they were made: %s. Build the model in the scope of the strategy.",
                len(elsewhere),
                elsewhere[:_NAMED],
            )

    def _placed(self, next_creator, **kwargs):
        variable = self._create(next_creator, **kwargs)
        beside = kwargs.get("colocate_with")
        if beside is not None and "/job:ps" in beside.device:
            self.loads[server_of(beside)] += num_bytes_of(variable)
        return variable

    def _on_lightest(self, next_creator, **kwargs):
        number = self.loads.index(min(self.loads))
        path = _path(kwargs.get("name"))
        if path in self._planned:
            number = self._planned[path].server
        self._extended._variable_count = number  # TensorFlow's turn
        variable = self._create_in_turn(next_creator, **kwargs)
        self.loads[number] += num_bytes_of(variable)
        return variable


def server_of(variable: Any) -> int:
    """Number of the server that holds a `tf.Variable`."""
    import tensorflow as tf

    return int(tf.DeviceSpec.from_string(variable.device).task or 0)


def num_bytes_of(variable: Any) -> int:
    """Bytes of a `tf.Variable`."""
    return int(variable.shape.num_elements() or 0) * variable.dtype.size


def _path(name: str | None) -> str:
    """The path of the Keras variable that is being made; Keras enters its scopes."""
    import tensorflow as tf

    scope = tf.get_current_name_scope()
    return f"{scope}/{name}" if scope else str(name)


def _known(shapes: dict[str, tuple[int, ...]], path: str) -> str:
    return str(list(shapes[path])) if path in shapes else "not there"
