"""All that a training process knows and would lose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_recs.copies_of import copies_of
from keras_recs.layers.embedding.find_two_level_tables import find_two_level_tables
from keras_recs.training.callback_state import (
    read_callback_state,
    write_callback_state,
)
from keras_recs.training.stable_path import stable_path


class RunState:
    """The variables of a model, its optimizer and metrics, and its callbacks' state.

    Seeds are variables too. TensorFlow only.

    Args:
        model: compiled and built `keras.Model` whose optimizer is built.
        callbacks: Keras callbacks.
    """

    def __init__(
        self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]
    ):
        self.model = model
        self.callbacks = callbacks
        self._tables = find_two_level_tables(model)
        # What lies in files has its own way.
        paged = {
            id(variable)
            for table in self._tables
            for variable in (table.embeddings, *table.pager.attached.values())
        }
        self._variables = {
            kind: [v for v in variables if id(v) not in paged]
            for kind, variables in (
                ("model", model.variables),
                ("optimizer", model.optimizer.variables),
                ("metrics", model.metrics_variables),
            )
        }

    def capture(self) -> tuple[Callable[[], dict[str, np.ndarray]], dict[str, Any]]:
        """What is true now, as `Checkpoints.save` takes it.

        It takes no more time than to copy the tables in memory. Tables that lie partly
        in files are flushed, and their trained rows are read.
        """
        tensors = {
            f"{kind}/{number}/{copy}": value.read_value()
            for kind, variables in self._variables.items()
            for number, variable in enumerate(variables)
            for copy, value in enumerate(_stored_copies(variable))
        }
        stores: dict[str, np.ndarray] = {}
        for number, table in enumerate(self._tables):
            store: dict[str, np.ndarray] = {}
            table.save_own_variables(store)
            stores |= {f"table/{number}/{key}": a for key, a in store.items()}
        states, arrays = read_callback_state(self.callbacks)
        about = {"variables": describe_variables(self._variables), "callbacks": states}

        def read() -> dict[str, np.ndarray]:
            values = {name: _array(tensor) for name, tensor in tensors.items()}
            return {**values, **stores, **arrays}

        return read, about

    def restore(self, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> None:
        """Puts a captured state in the place of what is there.

        Raises:
            ValueError: for the state of another model, optimizer or callbacks; the
                first variable that differs is named.
        """
        check_variables(describe_variables(self._variables), about["variables"])
        for kind, variables in self._variables.items():
            for number, variable in enumerate(variables):
                copies = copies_of(variable)
                stored = [
                    arrays[f"{kind}/{number}/{copy}"]
                    for copy in range(len(_stored_copies(variable)))
                ]
                if len(stored) == 1:
                    stored *= len(copies)
                for value, array in zip(copies, stored, strict=True):
                    value.assign(_tensor(array, value.dtype))
        for number, table in enumerate(self._tables):
            start = f"table/{number}/"
            table.load_own_variables(
                {k.removeprefix(start): a for k, a in arrays.items() if start in k}
            )
        write_callback_state(self.callbacks, about["callbacks"], arrays)

    def restore_epoch(self, arrays: dict[str, np.ndarray], about: dict) -> None:
        """Puts back what an epoch begins anew: sums of the metrics, and callbacks."""
        write_callback_state(self.callbacks, about["callbacks"], arrays)
        for number, variable in enumerate(self._variables["metrics"]):
            for copy, value in enumerate(_stored_copies(variable)):
                array = arrays[f"metrics/{number}/{copy}"]
                value.assign(_tensor(array, value.dtype))


def describe_variables(variables: Mapping[str, Sequence[Any]]) -> dict[str, list]:
    """What tells the variables of one model from those of another, by their kind."""
    return {
        kind: [
            [stable_path(v) if kind == "model" else "", list(v.shape), str(v.dtype)]
            for v in group
        ]
        for kind, group in variables.items()
    }


def check_variables(here: dict[str, list], stored: dict[str, list]) -> None:
    """Raises a `ValueError` where a checkpoint has other variables than there are."""
    for kind, variables in here.items():
        there = stored.get(kind, [])
        for mine, other in zip(variables, there):
            if mine != other:
                raise ValueError(
                    f"The checkpoint is of another {kind}. Received: a variable "
                    f"{mine}; the checkpoint has {other}"
                )
        if len(variables) != len(there):
            raise ValueError(
                f"The checkpoint is of another {kind}. Received: {len(variables)} "
                f"variables; the checkpoint has {len(there)}"
            )


def _stored_copies(variable) -> list:
    """The TensorFlow variables whose values differ: one, or one a replica."""
    copies = copies_of(variable)
    if type(variable._value).__name__ == "SyncOnReadVariable":
        return copies
    return copies[:1]


def _array(tensor) -> np.ndarray:
    """A tensor's numbers, on the CPU without a copy of them."""
    if tensor.dtype.name == "bfloat16":
        return tensor.numpy().view(np.uint16)
    if "CPU" in tensor.device and tensor.shape.rank:
        return np.asarray(memoryview(tensor))
    return tensor.numpy()


def _tensor(array: np.ndarray, dtype):
    import tensorflow as tf

    if dtype == tf.bfloat16:
        array = array.view(tf.bfloat16.as_numpy_dtype)
    return tf.constant(array, dtype)
