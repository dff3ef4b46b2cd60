"""How far the workers are in an epoch, on a server where all see it."""

from __future__ import annotations

from typing import Any

import numpy as np

_DEVICE = "/job:ps/task:0/device:CPU:0"


_EPOCH = 32  # bits of a number that hold its steps; the epoch is above them


class Progress:
    """The steps of each chunk of an epoch that are done.

    A chunk that is given to another worker, because the first one died or made room for
    a checkpoint, goes on behind them. A worker that was taken for dead and still has
    one counts no step twice, and stops as soon as the other one is further.

    Args:
        num_chunks: int. Chunks of an epoch.
    """

    def __init__(self, num_chunks: int):
        import tensorflow as tf

        with tf.device(_DEVICE):
            # The last one is above 0 while all workers are to return.
            zeros = tf.zeros(num_chunks + 1, tf.int64)
            self._numbers = tf.Variable(zeros, trainable=False)
            self._skipped = tf.Variable(tf.constant(0, tf.int64), trainable=False)
        self._num_chunks = num_chunks

    def read(self) -> np.ndarray:
        """Steps done of each chunk, int64 `(chunks,)`."""
        return self._numbers.numpy()[:-1] & ((1 << _EPOCH) - 1)

    def begin(self, epoch: int, done: np.ndarray) -> None:
        """Sets the steps of each chunk, int64 `(chunks,)`, of an epoch."""
        import tensorflow as tf

        numbers = (epoch << _EPOCH) + np.append(done, 0)
        numbers[-1] = 0
        self._numbers.assign(tf.constant(numbers, tf.int64))

    def pause(self, is_paused: bool) -> None:
        """Asks all workers to return after the step that they are at, or not to."""
        import tensorflow as tf

        self._numbers.scatter_nd_update(
            [[self._num_chunks]], tf.constant([int(is_paused)], tf.int64)
        )

    def skipped(self) -> int:
        """Steps that were left out since the beginning."""
        return int(self._skipped.numpy())

    # === In the function of a worker ===

    def done(self, epoch: Any, chunk: Any) -> Any:
        """Steps of one chunk, as an int64 tensor; negative in another epoch."""
        return self._numbers.sparse_read(chunk) - epoch * 2**_EPOCH

    def add(self, epoch: Any, chunk: Any, done: Any) -> None:
        """Says how many steps of a chunk are done."""
        import tensorflow as tf

        tf.raw_ops.ResourceScatterMax(
            resource=self._numbers.handle,
            indices=chunk,
            updates=epoch * 2**_EPOCH + done,
        )

    def add_skipped(self) -> None:
        """Counts a step that is left out."""
        self._skipped.assign_add(1)

    def goes_on(self, epoch: Any, chunk: Any, done: Any) -> Any:
        """Whether to take the next step, as a bool tensor.

        Not in a pause, nor where another worker has the chunk and is further.
        """
        import tensorflow as tf

        number, pause = tf.unstack(
            self._numbers.sparse_read(tf.stack([chunk, self._num_chunks])), num=2
        )
        is_mine = tf.equal(number, epoch * 2**_EPOCH + done)
        return tf.logical_and(is_mine, tf.equal(pause, 0))
