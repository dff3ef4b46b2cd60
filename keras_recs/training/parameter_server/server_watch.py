"""Whether the parameter servers are all there."""

from __future__ import annotations

import time
from collections.abc import Sequence

from keras_recs.training.listens import listens
from keras_recs.training.parameter_server.lost_servers import LostServer

_EVERY, _FAILURES = 1.0, 2  # seconds, and times in succession


class ServerWatch:
    """Looks for each server now and then.

    TensorFlow notices a lost server where it asks it for something, and not while it
    waits for a worker to come back.

    Args:
        addresses: of the servers, as `host:port`.
    """

    def __init__(self, addresses: Sequence[str]):
        self._addresses = list(addresses)
        self._failures = [0] * len(self._addresses)
        self._looked = time.monotonic()

    def look(self) -> None:
        """Raises a `LostServer` for a server that takes no connections."""
        if time.monotonic() - self._looked < _EVERY:
            return
        for number, address in enumerate(self._addresses):
            here = listens(address, 1.0)
            self._failures[number] = 0 if here else self._failures[number] + 1
            if self._failures[number] >= _FAILURES:
                raise LostServer(f"ps {number} at {address} is gone")
        self._looked = time.monotonic()
