"""Where a run is, and how another process goes on from there."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_recs.training.checkpoints import Checkpoints
from keras_recs.training.run_state import RunState

# A save pauses training, and writing takes a core from it: at most so much of its time.
_PAUSE_SHARE, _WRITE_SHARE = 0.01, 0.03


@dataclasses.dataclass(frozen=True)
class Position:
    """How far a run is: whole epochs, and steps of the one after them."""

    epoch: int = 0
    step: int = 0


class Recovery:
    """Saves a run from time to time and finds out where an earlier process was.

    Args:
        folder: path of the checkpoints.
        every_seconds: float. Least time between two of them. The first comes so long
            after the start, others too after each epoch; where they cost more than a
            few percent of the time, they come less often.
        every_steps: int. Save after so many steps in the place of that, whatever it
            costs. Defaults to `None`.
        keep: int. Checkpoints that stay. Defaults to `2`.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        every_seconds: float = 60.0,
        every_steps: int | None = None,
        keep: int = 2,
    ):
        if not every_seconds > 0:
            raise ValueError(
                "`checkpoint_seconds` must be above 0. Received: "
                f"checkpoint_seconds={every_seconds!r}"
            )
        if every_steps is not None and (
            not isinstance(every_steps, int) or every_steps < 1
        ):
            raise ValueError(
                "`checkpoint_steps` must be a positive integer or None. Received: "
                f"checkpoint_steps={every_steps!r}"
            )
        self.checkpoints = Checkpoints(Path(folder), keep)
        self.every_seconds = every_seconds
        self.every_steps = every_steps
        self._state: RunState | None = None
        self._digest = 0
        self._pause = 0.0
        self._last = time.monotonic()
        self._steps = 0
        self._arrays: dict[str, np.ndarray] | None = None

    def begin(
        self,
        model: keras.Model,
        callbacks: Sequence[keras.callbacks.Callback],
        train: Any,
    ) -> Position:
        """Restores what an interrupted run left.

        It reads the first batch of `train` once, to know the data again, and as many
        beginnings of epochs as lie behind the run, so that the next one has the order
        that it would have had.

        Args:
            model: built and compiled `keras.Model`.
            callbacks: whose `on_train_begin` was called.
            train: `tf.data.Dataset` whose order is the same in each process.

        Returns:
            Where to go on.

        Raises:
            ValueError: if the checkpoint is of another model, optimizer, data set or
                of other callbacks.
        """
        self._state = RunState(model, callbacks)
        self._digest = _digest_of_first(train)
        self._last = time.monotonic()
        found = self.checkpoints.newest()
        if found is None:
            return Position()
        arrays, about = found
        if about["first_batch"] != self._digest:
            raise ValueError(
                f"'{self.checkpoints.folder}' holds an interrupted run whose first "
                "batch was another one: the data changed, or comes in another order in "
                "each process (give the data set a `seed`). Give another workdir, or "
                "remove that folder to start anew."
            )
        self._state.restore(arrays, about)
        position = Position(**about["position"])
        for _ in range(position.epoch):
            iter(train)
        if position.step:
            metrics = [key for key in arrays if key.startswith("metrics/")]
            self._arrays = {key: arrays[key] for key in metrics}
        return position

    def begin_epoch(self) -> None:
        """Gives the metrics what they were at the checkpoint of this epoch."""
        if self._arrays is not None and self._state is not None:
            self._state.restore_metrics(self._arrays)
            self._arrays = None

    def after_step(self, position: Position, num_steps: int = 1) -> None:
        """Saves if it is time to."""
        self._steps += num_steps
        if self.every_steps is not None:
            due = self._steps >= self.every_steps
        else:
            due = self._is_time(self.every_seconds)
        if due:
            self.save(position)

    def after_epoch(self, position: Position) -> None:
        """Saves if that costs little beside the epoch."""
        if self.every_steps is None and self._is_time(0.0):
            self.save(position)

    def save(self, position: Position) -> None:
        """Saves; returns when training may go on, before the file is there.

        Raises:
            OSError: if the checkpoint before this one could not be written.
        """
        state = self._state
        if state is None:
            raise ValueError("`begin` must be called before `save`.")
        self.checkpoints.wait()
        start = time.monotonic()
        arrays, about = state.capture()
        about |= {
            "position": dataclasses.asdict(position),
            "first_batch": self._digest,
        }
        self.checkpoints.save(arrays, about)
        self._last = time.monotonic()
        self._pause = self._last - start
        self._steps = 0

    @contextlib.contextmanager
    def finished_at_last(self) -> Iterator[None]:
        """Waits for the last checkpoint when the block ends, in whatever way."""
        try:
            yield
        finally:
            self.checkpoints.wait()

    def _is_time(self, seconds: float) -> bool:
        if self.checkpoints.is_busy:
            return False
        enough = max(
            seconds,
            self._pause / _PAUSE_SHARE,
            self.checkpoints.seconds / _WRITE_SHARE,
        )
        return time.monotonic() - self._last >= enough


def _digest_of_first(dataset: Any) -> int:
    """A checksum of the first batch."""
    import tensorflow as tf

    digest = 0
    for batch in dataset.take(1):
        for tensor in tf.nest.flatten(batch, expand_composites=True):
            values = tensor.numpy()
            if values.dtype == object:
                values = np.array(values.tolist(), "S")
            digest = zlib.crc32(np.ascontiguousarray(values).tobytes(), digest)
    return digest
