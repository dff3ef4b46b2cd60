"""What TensorFlow's errors of a lost parameter server mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

# Of a server that is another process than it was.
_RESTARTED = (
    "unknown device",
    "remote_handle",
    "Unable to find a context_id",
    "Invalid context_id",
)


class LostServer(ConnectionError):
    """A parameter server is gone, and what it held with it."""


def is_lost(error: BaseException | None) -> bool:
    """Whether an error says that a server is gone or was started again."""
    import tensorflow as tf

    if isinstance(error, (LostServer, tf.errors.UnavailableError)):
        return True
    if isinstance(error, tf.errors.AbortedError):
        return True
    return isinstance(error, tf.errors.OpError) and any(
        text in error.message for text in _RESTARTED
    )


@contextlib.contextmanager
def lost_servers() -> Iterator[None]:
    """Raises a `LostServer` that says what to do, for what TensorFlow says."""
    try:
        yield
    except Exception as error:
        if not is_lost(error):
            raise
        raise LostServer(
            "A parameter server was lost. Start all processes again: the same call "
            f"goes on from the last checkpoint. ({str(error)[:300]})"
        ) from None
