"""Where a run on parameter servers is, and how another cluster goes on from there."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_recs.training.callback_state import (
    read_callback_state,
    write_callback_state,
)
from keras_recs.training.parameter_server.lost_servers import is_lost
from keras_recs.training.parameter_server.server_checkpoints import (
    ServerCheckpoints,
    Snapshot,
)
from keras_recs.training.run_state import check_variables, describe_variables
from keras_recs.training.save_pace import SavePace

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ServerPosition:
    """How far a run is.

    Attributes:
        epoch: int. Whole epochs.
        done: tuple of int. Steps of each chunk of the one after them; empty at its
            beginning.
        num_workers: int. Workers that the data were cut into chunks for.
        skipped: int. Steps that were left out.
    """

    epoch: int = 0
    done: tuple[int, ...] = ()
    num_workers: int = 0
    skipped: int = 0


class ServerRecovery:
    """Saves a run from time to time and finds out where an earlier one was.

    Args:
        folder: path of the checkpoints, which all servers share.
        every_seconds: float. As `SavePace` takes it.
        every_steps: int. As `SavePace` takes it.
        keep: int. Checkpoints that stay. Defaults to `2`.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        every_seconds: float = 60.0,
        every_steps: int | None = None,
        keep: int = 2,
    ):
        self.checkpoints = ServerCheckpoints(folder, keep)
        self._pace = SavePace(every_seconds, every_steps, is_early=True)
        self._variables: dict[str, list] = {}
        self._callbacks: Sequence[keras.callbacks.Callback] = ()
        self._found: tuple[dict[str, np.ndarray], dict[str, Any]] | None = None

    def begin(
        self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]
    ) -> ServerPosition:
        """Restores what an interrupted run left.

        Args:
            model: built and compiled `keras.Model`.
            callbacks: whose `on_train_begin` was called.

        Returns:
            Where to go on.

        Raises:
            ValueError: if the checkpoint is of another model, optimizer or of other
                callbacks, or all that there are are damaged.
        """
        self._callbacks = callbacks
        self._variables = {
            "model": model.variables,
            "optimizer": model.optimizer.variables,
            "metrics": model.metrics_variables,
        }
        self._pace.restart()
        here = describe_variables(self._variables)
        paths = self.checkpoints.newest_first()
        for path in paths:
            try:
                arrays, about = self.checkpoints.about(path)
                check = about["variables"]
            except (ValueError, KeyError) as error:
                _warn(path, error)
                continue
            check_variables(here, check)
            try:
                self.checkpoints.restore(path, self._by_server())
            except ValueError as error:
                _warn(path, error)
                continue
            self.checkpoints.remove_after(path)
            write_callback_state(callbacks, about["callbacks"], arrays)
            position = ServerPosition(**about["position"])
            if position.done:
                self._found = (arrays, about)
            return position
        if paths:
            raise ValueError(
                f"All checkpoints in '{self.checkpoints.folder}' are damaged. Remove "
                "that folder to start anew."
            )
        return ServerPosition()

    def begin_epoch(self) -> None:
        """Gives callbacks back what the beginning of an epoch undid."""
        if self._found is not None:
            arrays, about = self._found
            write_callback_state(self._callbacks, about["callbacks"], arrays)
            self._found = None

    @property
    def resumes_epoch(self) -> bool:
        """Whether the next epoch goes on in its midst."""
        return self._found is not None

    def count(self, num_steps: int) -> None:
        """Counts some more steps."""
        self._pace.count(num_steps, self.checkpoints.is_busy)

    def is_due(self) -> bool:
        """Whether it is time to save."""
        return self._pace.is_due() and self._may_save

    def after_epoch(self, position: ServerPosition) -> None:
        """Saves if that costs little beside the epoch."""
        if self._pace.is_due_after_epoch() and self._may_save:
            self.save(position)

    @property
    def _may_save(self) -> bool:
        """Where steps say when, training waits for the last one to be written."""
        return self._pace.every_steps is not None or not self.checkpoints.is_busy

    def save(self, position: ServerPosition, since: float | None = None) -> None:
        """Saves, while no worker trains; returns before the files are there.

        Args:
            position: `ServerPosition`.
            since: float. When the workers began to stop, of `time.monotonic`. Defaults
                to `None`: now.

        Raises:
            OSError: if the checkpoint before this one could not be written.
        """
        import tensorflow as tf

        start = time.monotonic() if since is None else since
        self.checkpoints.wait()
        tensors: dict[str, dict[str, Any]] = {}
        for device, variables in self._by_server().items():
            with tf.device(device):  # else the values travel to the chief
                tensors[device] = {n: v.read_value() for n, v in variables.items()}
        states, arrays = read_callback_state(self._callbacks)
        about = {
            "variables": describe_variables(self._variables),
            "callbacks": states,
            "position": dataclasses.asdict(position),
        }
        snapshot = Snapshot(tensors, arrays)
        self._pace.write_seconds = self.checkpoints.seconds
        self.checkpoints.save(lambda: snapshot, about)
        self._pace.restart(time.monotonic() - start)

    @contextlib.contextmanager
    def finished_at_last(self) -> Iterator[None]:
        """Waits for the last checkpoint when the block ends well, or by a request."""
        try:
            yield
        except BaseException as error:
            if not is_lost(error):  # else its part is gone with it
                try:
                    self.checkpoints.wait()
                except OSError as other:
                    _logger.warning("%s", other)
            raise
        self.checkpoints.wait()

    def _by_server(self) -> dict[str, dict[str, Any]]:
        """Variables by the device that holds them and by name."""
        found: dict[str, dict[str, Any]] = {}
        for kind, variables in self._variables.items():
            for number, variable in enumerate(variables):
                held = variable._value
                found.setdefault(held.device, {})[f"{kind}/{number}"] = held
        return found


def _warn(path, error) -> None:
    _logger.warning(
        "The checkpoint '%s' is damaged (%s); the one before it is taken.", path, error
    )
