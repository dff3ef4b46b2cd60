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
from keras_recs.training.save_pace import SavePace
from keras_recs.training.workers import Workers


@dataclasses.dataclass(frozen=True)
class Position:
    """How far a run is.

    Attributes:
        epoch: int. Whole epochs.
        step: int. Steps of the one after them.
        skipped: int. Steps so far that were left out.
    """

    epoch: int = 0
    step: int = 0
    skipped: int = 0


class Recovery:
    """Saves a run from time to time and finds out where an earlier process was.

    Attributes:
        batch_size: int. Of the first batch of the data, once begun.

    Args:
        folder: path of this worker's checkpoints.
        workers: `Workers`, who all save at the same steps.
        every_seconds: float. Least time between two of them within an epoch; others
            come after an epoch. Where they cost more than a few percent of the time,
            they come less often. Infinity: never.
        every_steps: int. Save after so many steps in the place of that, whatever it
            costs. Defaults to `None`.
        keep: int. Checkpoints that stay. Defaults to `2`.
    """

    batch_size = 1

    def __init__(
        self,
        folder: str | os.PathLike,
        workers: Workers,
        every_seconds: float = 60.0,
        every_steps: int | None = None,
        keep: int = 2,
    ):
        self.folder = Path(folder)
        self.checkpoints = Checkpoints(self.folder, keep)
        self.workers = workers
        self._pace = SavePace(every_seconds, every_steps)
        self._state: RunState | None = None
        self._digest = 0
        self._found: tuple[dict[str, np.ndarray], dict[str, Any]] | None = None

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
        self._digest, self.batch_size = _look_at_first(train)
        self._pace.restart()
        numbers = self.workers.gather(self.checkpoints.newest())
        if not any(numbers):
            return Position()
        if not all(numbers) and max(numbers) == 1:
            # One died while all wrote their first: they have the start in common.
            self.checkpoints.clear()
            return Position()
        if not all(numbers):
            raise ValueError(
                f"Of the workers {[i for i, n in enumerate(numbers) if not n]} the "
                f"checkpoints are gone, such as '{self.folder}'. Bring them back, or "
                "remove those of all workers to start anew."
            )
        arrays, about = self.checkpoints.read(int(min(numbers)))
        if about["first_batch"] != self._digest:
            raise ValueError(
                f"'{self.folder}' holds an interrupted run whose first "
                "batch was another one: the data changed, or comes in another order in "
                "each process (give the data set a `seed`). Give another workdir, or "
                "remove that folder to start anew."
            )
        self._state.restore(arrays, about)
        position = Position(**about["position"])
        for _ in range(position.epoch):
            iter(train)
        if position.step:
            parts = ("metrics/", "callback/")
            kept = {k: a for k, a in arrays.items() if k.startswith(parts)}
            self._found = (kept, about)
        return position

    def begin_epoch(self) -> None:
        """Undoes what the beginning of an epoch does, where it goes on in its midst."""
        if self._found is not None and self._state is not None:
            self._state.restore_epoch(*self._found)
            self._found = None

    @property
    def counts_steps(self) -> bool:
        """Whether steps say when to save, and not the time."""
        return self._pace.every_steps is not None

    def is_due(self, num_steps: int) -> bool:
        """Whether it is time to save, after some more steps."""
        self._pace.count(num_steps)
        return self._pace.is_due() and (
            self.counts_steps or not self.checkpoints.is_busy
        )

    def after_epoch(self, position: Position) -> None:
        """Saves if that costs little beside the epoch."""
        due = self._pace.is_due_after_epoch() and not self.checkpoints.is_busy
        if any(self.workers.gather(due)):
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
        # Else one could have removed what another one's slower disk has as its newest.
        self.workers.barrier()
        start = time.monotonic()
        arrays, about = state.capture()
        about |= {
            "position": dataclasses.asdict(position),
            "first_batch": self._digest,
        }
        self._pace.write_seconds = self.checkpoints.seconds
        self.checkpoints.save(arrays, about)
        self._pace.restart(time.monotonic() - start)

    @contextlib.contextmanager
    def finished_at_last(self) -> Iterator[None]:
        """Waits for the last checkpoint when the block ends, in whatever way."""
        try:
            yield
        finally:
            self.checkpoints.wait()


def _look_at_first(dataset: Any) -> tuple[int, int]:
    """A checksum of the first batch, and its size; 0 and 1 without a batch."""
    import tensorflow as tf

    digest, size = 0, 1
    for batch in dataset.take(1):
        tensors = tf.nest.flatten(batch, expand_composites=True)
        size = int(tensors[0].shape[0])
        for tensor in tensors:
            values = tensor.numpy()
            if values.dtype == object:
                values = np.array(values.tolist(), "S")
            digest = zlib.crc32(np.ascontiguousarray(values).tobytes(), digest)
    return digest, size
