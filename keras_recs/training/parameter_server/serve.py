"""What a worker or a parameter server does: what the chief asks for."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from typing import NoReturn

from keras_recs.training.cluster import Cluster
from keras_recs.training.listens import listens

_logger = logging.getLogger(__name__)
GONE_SECONDS = 5.0  # after which a chief that does not answer is taken for dead
_PAUSE = 0.5


def serve(cluster: Cluster, timeout_seconds: float) -> NoReturn:
    """Serves until the chief is gone, and ends the process with status 1.

    SIGTERM ends it only where the chief is not there yet.

    It cannot know whether the chief ended or died; a launcher that starts it again does
    right in both cases.

    Args:
        cluster: `Cluster`, of which this is a worker or a parameter server.
        timeout_seconds: float. How long to wait for the chief at first.

    Raises:
        ValueError: if this process cannot listen at its address.
    """
    import tensorflow as tf

    asked = threading.Event()
    try:
        server = tf.distribute.Server(
            {kind: list(hosts) for kind, hosts in cluster.addresses.items()},
            job_name=cluster.task,
            task_index=cluster.index,
            protocol="grpc",
        )
    except tf.errors.OpError as error:
        raise ValueError(
            f"TF_CONFIG gives this process the address '{cluster.address}', where it "
            f"cannot listen: {error.message}. Give another port, or end what uses it."
        ) from None
    chief = cluster.addresses["chief"][0]
    if threading.current_thread() is threading.main_thread():
        # All processes may be asked to end at once; the chief saves before it does.
        signal.signal(signal.SIGTERM, lambda *_: asked.set())
    deadline = time.monotonic() + timeout_seconds
    while not listens(chief) and time.monotonic() < deadline:
        if asked.wait(_PAUSE):
            os._exit(128 + signal.SIGTERM)
    heard = time.monotonic()
    while time.monotonic() - heard < GONE_SECONDS:
        if listens(chief):
            heard = time.monotonic()
        time.sleep(_PAUSE)
    _logger.warning("The chief at %s is gone; %s ends.", chief, server.target)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)  # the server has no other end
