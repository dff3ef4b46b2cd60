"""Whether somebody takes connections at an address."""

import socket


def listens(address: str, seconds: float = 2.0) -> bool:
    """Whether a connection to `host:port` is taken within some seconds."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), seconds).close()
    except OSError:
        return False
    return True
