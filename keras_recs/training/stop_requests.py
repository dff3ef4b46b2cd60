"""A polite request to end the process (SIGTERM)."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


class StopRequest:
    """Whether the process was asked to end.

    Attributes:
        received: bool.
    """

    received = False


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Takes SIGTERM as a request while the block runs.

    Outside the main thread, where Python allows no handlers, it takes none.
    """
    request = StopRequest()

    def receive(number, frame):
        request.received = True

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.signal(signal.SIGTERM, receive)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)
