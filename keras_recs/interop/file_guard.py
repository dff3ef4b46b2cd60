"""Says so when a file is not the one that was checked."""

from __future__ import annotations

import dataclasses
import os

import numpy as np


@dataclasses.dataclass(frozen=True)
class FileGuard:
    """A file as it was when it was checked.

    What tensorflow-io reads wrong is refused when a dataset is made. A file that is
    written anew afterwards was not checked.

    Args:
        path: string.
        identity: string. What tells this content from another.
    """

    path: str
    identity: str

    @classmethod
    def of(cls, path: str) -> FileGuard:
        """The guard of a file as it is now."""
        state = os.stat(path)
        return cls(path, f"{state.st_ino}-{state.st_mtime_ns}-{state.st_size}")

    @staticmethod
    def check(path, identity):
        """Operation that passes `path` on, if the file is still the same.

        Args:
            path: string tensor `()`.
            identity: string tensor `()`.

        Raises:
            tf.errors.OpError: while reading, if the file has changed.
        """
        import tensorflow as tf

        checked = tf.numpy_function(_check, [path, identity], tf.string)
        return tf.ensure_shape(checked, ())


def _check(path, identity) -> bytes:
    # Bytes in a graph, arrays without a dimension outside.
    path, identity = (os.fsdecode(np.asarray(item).item()) for item in (path, identity))
    if FileGuard.of(path).identity != identity:
        raise ValueError(
            f"'{path}' has changed since the dataset was made; make it again."
        )
    return os.fsencode(path)
