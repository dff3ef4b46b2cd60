"""Which parameter server holds which variable."""

from __future__ import annotations

from typing import Any


class PlaceByBytes:
    """Gives each new variable to the server that has the fewest bytes so far.

    TensorFlow itself counts variables. Slots of an optimizer lie beside their
    variables, and count where they lie.

    Args:
        strategy: `tf.distribute.experimental.ParameterServerStrategy`.

    Attributes:
        loads: list of int. Bytes of each server.
    """

    def __init__(self, strategy: Any):
        self._extended = strategy.extended
        self.loads = [0] * self._extended._num_ps
        self._create = self._extended._create_variable
        self._create_in_turn = self._extended._create_variable_round_robin
        self._extended._create_variable = self._placed
        self._extended._create_variable_round_robin = self._on_lightest

    def _placed(self, next_creator, **kwargs):
        variable = self._create(next_creator, **kwargs)
        beside = kwargs.get("colocate_with")
        if beside is not None and "/job:ps" in beside.device:
            self.loads[server_of(beside)] += _num_bytes(variable)
        return variable

    def _on_lightest(self, next_creator, **kwargs):
        number = self.loads.index(min(self.loads))
        self._extended._variable_count = number  # TensorFlow's turn
        variable = self._create_in_turn(next_creator, **kwargs)
        self.loads[number] += _num_bytes(variable)
        return variable


def server_of(variable: Any) -> int:
    """Number of the server that holds a `tf.Variable`."""
    import tensorflow as tf

    return int(tf.DeviceSpec.from_string(variable.device).task or 0)


def _num_bytes(variable: Any) -> int:
    return int(variable.shape.num_elements() or 0) * variable.dtype.size
