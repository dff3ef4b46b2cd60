"""The weights of the epoch that was best."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import keras


class KeepBest(keras.callbacks.Callback):
    """Saves the weights after each epoch that is better than all before it.

    The file is replaced whole or not at all. An epoch whose metric is NaN is never the
    best.

    Args:
        path: of the file, which ends in `.weights.h5`.
        monitor: metric of the logs.
        mode: `"max"` or `"min"`.
    """

    def __init__(self, path: str | os.PathLike, monitor: str, mode: str):
        super().__init__()
        self.path = Path(path)
        self.monitor = monitor
        self.mode = mode
        self.best = -math.inf if mode == "max" else math.inf

    def on_epoch_end(self, epoch, logs=None):
        """Saves if the epoch is the best so far."""
        value = float(logs[self.monitor])
        is_better = value > self.best if self.mode == "max" else value < self.best
        if not is_better:
            return
        self.best = value
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{os.getpid()}.{self.path.name}")
        try:
            self.model.save_weights(part)
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            os.replace(part, self.path)
        finally:
            part.unlink(missing_ok=True)

    def get_state(self) -> dict[str, Any]:
        """The best value, for a checkpoint."""
        return {"best": self.best}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self.best = state["best"]
