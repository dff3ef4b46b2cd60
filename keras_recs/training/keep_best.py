"""The weights of the epoch that was best."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from typing import Any

import keras

_logger = logging.getLogger(__name__)


class KeepBest(keras.callbacks.Callback):
    """Saves the weights after each epoch that is better than all before it.

    Each is in a file of its own, whole or not at all, of which the last two stay: a run
    that goes on from before the newest has the one that was the best there. An epoch
    whose metric is NaN is never the best.

    Args:
        folder: path of the files.
        monitor: metric of the logs.
        mode: `"max"` or `"min"`.
    """

    def __init__(self, folder: str | os.PathLike, monitor: str, mode: str):
        super().__init__()
        self.folder = Path(folder)
        self.monitor = monitor
        self.mode = mode
        self._epoch: int | None = None
        self._forget()

    @property
    def path(self) -> Path | None:
        """The file of the best epoch, or `None`."""
        return None if self._epoch is None else self._path(self._epoch)

    def on_epoch_end(self, epoch, logs=None):
        """Saves if the epoch is the best so far."""
        value = float(logs[self.monitor])
        is_better = value > self._best if self.mode == "max" else value < self._best
        if not is_better:
            return
        before = self.path
        self._best, self._epoch = value, epoch
        path = self._path(epoch)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{os.getpid()}.{path.name}")
        try:
            self.model.save_weights(part)
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        for other in self.folder.glob("*best-*.weights.h5"):
            if other not in (path, before):
                other.unlink()

    def clear(self) -> None:
        """Removes all files, those that were never finished too."""
        for path in self.folder.glob("*best-*.weights.h5"):
            path.unlink()

    def get_state(self) -> dict[str, Any]:
        """The best value and its epoch, for a checkpoint."""
        return {"best": self._best, "epoch": self._epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self._best, self._epoch = state["best"], state["epoch"]
        if self.path is not None and not self.path.exists():
            _logger.warning(
                "'%s', the best epoch so far, is gone: the best of the epochs to come "
                "is kept.",
                self.path,
            )
            self._forget()

    def _forget(self) -> None:
        self._best = -math.inf if self.mode == "max" else math.inf
        self._epoch = None

    def _path(self, epoch: int) -> Path:
        return self.folder / f"best-{epoch:05d}.weights.h5"
