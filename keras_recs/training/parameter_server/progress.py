"""How far the workers are in an epoch, on a server where all see it."""

from __future__ import annotations

from typing import Any

import numpy as np

_DEVICE = "/job:ps/task:0/device:CPU:0"


class Progress:
    """The steps of each chunk of an epoch that are done.

    A chunk that is given to another worker, because the first one died or made room for
    a checkpoint, goes on behind them.

    Args:
        num_chunks: int. Chunks of an epoch.
    """

    def __init__(self, num_chunks: int):
        import tensorflow as tf

        with tf.device(_DEVICE):
            self._done = tf.Variable(tf.zeros(num_chunks, tf.int64), trainable=False)
            self._skipped = tf.Variable(tf.constant(0, tf.int64), trainable=False)
            self._paused = tf.Variable(False, trainable=False)

    def read(self) -> np.ndarray:
        """Steps done of each chunk, int64 `(chunks,)`."""
        return self._done.numpy()

    def write(self, done: np.ndarray | int = 0) -> None:
        """Sets the steps of each chunk, or of all."""
        import tensorflow as tf

        self._done.assign(tf.broadcast_to(tf.cast(done, tf.int64), self._done.shape))

    def pause(self, is_paused: bool) -> None:
        """Asks all workers to return after the step that they are at, or not to."""
        self._paused.assign(is_paused)

    def skipped(self) -> int:
        """Steps that were left out since the beginning."""
        return int(self._skipped.numpy())

    # === In the function of a worker ===

    def done(self, chunk: Any) -> Any:
        """Steps of one chunk, as an int64 tensor."""
        return self._done.sparse_read(chunk)

    def add(self, chunk: Any) -> None:
        """Counts a step of a chunk."""
        import tensorflow as tf

        tf.raw_ops.ResourceScatterAdd(
            resource=self._done.handle, indices=chunk, updates=tf.constant(1, tf.int64)
        )

    def add_skipped(self) -> None:
        """Counts a step that is left out."""
        self._skipped.assign_add(1)

    def is_paused(self) -> Any:
        """Whether to return, as a bool tensor."""
        return self._paused.read_value()
