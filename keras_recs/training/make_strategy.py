"""Which devices train."""

from __future__ import annotations

import os

from keras_recs.training.await_cluster import await_cluster
from keras_recs.training.cluster import Cluster
from keras_recs.training.parameter_server.place_variables import PlaceByBytes
from keras_recs.training.parameter_server.serve import serve
from keras_recs.training.parameter_server.server_loads import ServerLoads

STRATEGIES = ("none", "mirrored", "multi_worker_mirrored", "parameter_server")


def make_strategy(
    name: str = "none",
    timeout_seconds: float = 300.0,
    placement: str | os.PathLike | None = None,
):
    """Makes the `tf.distribute` strategy of a name.

    For several workers each process calls it, before TensorFlow is used for anything
    else, and waits there until all are there.

    Args:
        name: `"none"` (one device), `"mirrored"` (all devices of this machine),
            `"multi_worker_mirrored"` (all devices of the workers that `TF_CONFIG`
            names) or `"parameter_server"` (its chief, workers and ps; in a process that
            is a worker or a ps the call serves the chief and does not return).
        timeout_seconds: float. How long to wait for the names of the other processes,
            and then for them. Defaults to `300.0`.
        placement: path of what `server_report` measured, for `"parameter_server"`: its
            variables lie where bytes and traffic of the servers are even. Defaults to
            `None`: they lie where the fewest bytes are.

    Returns:
        `tf.distribute.Strategy`; build and compile the model in its `scope()`.

    Raises:
        ValueError: for an unknown name, a `TF_CONFIG` that is missing or wrong, or a
            `placement` that cannot be read or is for another strategy.
        TimeoutError: if a process of the cluster does not come; it is named.
    """
    if name not in STRATEGIES:
        raise ValueError(f"`name` must be one of {STRATEGIES}. Received: name={name!r}")
    if placement is not None and name != "parameter_server":
        raise ValueError(
            "`placement` is for the strategy 'parameter_server': others have no "
            f"servers. Received: placement='{placement}' and name={name!r}"
        )
    if name == "multi_worker_mirrored":
        return _multi_worker_mirrored(timeout_seconds)
    if name == "parameter_server":
        return _parameter_server(timeout_seconds, placement)
    import tensorflow as tf

    if name == "none":
        return tf.distribute.get_strategy()
    accelerators = tf.config.list_logical_devices("GPU")
    devices = accelerators or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _multi_worker_mirrored(timeout_seconds: float):
    cluster = Cluster.from_environment(timeout_seconds)
    others = sorted(set(cluster.addresses) - {"chief", "worker"})
    if others or cluster.task not in ("chief", "worker"):
        raise ValueError(
            "TF_CONFIG: 'multi_worker_mirrored' has workers, of which one may be the "
            f"chief. Received: {sorted(cluster.addresses)}, and this is {cluster.task}"
        )
    await_cluster(cluster, timeout_seconds)
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def _parameter_server(timeout_seconds: float, placement: str | os.PathLike | None):
    cluster = Cluster.from_environment(timeout_seconds)
    missing = {"chief", "worker", "ps"} - set(cluster.addresses)
    if missing or len(cluster.addresses["chief"]) > 1 or cluster.task == "evaluator":
        raise ValueError(
            "TF_CONFIG: 'parameter_server' has one chief, and at least one worker and "
            f"one ps. Received: {dict(cluster.addresses)}, and this is {cluster.task}"
        )
    if cluster.task != "chief":
        serve(cluster, timeout_seconds)
    measured = None if placement is None else ServerLoads.load(placement)
    await_cluster(cluster, timeout_seconds)
    import tensorflow as tf

    strategy = tf.distribute.experimental.ParameterServerStrategy(
        tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec(
                {kind: list(hosts) for kind, hosts in cluster.addresses.items()}
            ),
            task_type="chief",
            task_id=0,
            rpc_layer="grpc",
        )
    )
    strategy.placement = PlaceByBytes(strategy, measured)
    return strategy
