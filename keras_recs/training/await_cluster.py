"""Waits until all processes of a cluster are there."""

from __future__ import annotations

import logging
import socket
import threading
import time

from keras_recs.training.cluster import Cluster
from keras_recs.training.listens import listens

_logger = logging.getLogger(__name__)
_PAUSE = 0.2  # seconds


def await_cluster(cluster: Cluster, timeout_seconds: float) -> None:
    """Returns when each process listened at its address at least once.

    TensorFlow itself waits without an end and does not say for whom. The process
    listens at its own address meanwhile, and leaves it free for TensorFlow's server.

    Args:
        cluster: `Cluster`.
        timeout_seconds: float.

    Raises:
        ValueError: if this process cannot listen at its address.
        TimeoutError: if a process does not come; each that is missing is named.
    """
    missing = {
        address: f"{kind} {number} at {address}"
        for kind, addresses in cluster.addresses.items()
        for number, address in enumerate(addresses)
        if address != cluster.address
    }
    deadline = time.monotonic() + timeout_seconds
    told = time.monotonic() + 10
    with _listening(cluster.address):
        while missing:
            for address in list(missing):
                if listens(address):
                    del missing[address]
            if not missing:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"After {timeout_seconds:g} s these processes of TF_CONFIG are not "
                    f"there: {', '.join(missing.values())}. Start them, or take them "
                    "out of TF_CONFIG."
                )
            if time.monotonic() > told:
                told = time.monotonic() + 30
                _logger.warning("Waiting for %s.", ", ".join(missing.values()))
            time.sleep(_PAUSE)
        # Others may look for this process only now.
        time.sleep(2 * _PAUSE)


class _listening:
    """Takes connections at an address, and closes them at once."""

    def __init__(self, address: str):
        host, _, port = address.rpartition(":")
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, int(port)))
        except OSError as error:
            self._socket.close()
            raise ValueError(
                f"TF_CONFIG gives this process the address '{address}', where it "
                f"cannot listen: {error}. Give another port, or end what uses it."
            ) from None
        self._socket.listen()

    def __enter__(self):
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            connection.close()
