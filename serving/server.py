"""Serves SavedModels with TF Serving's REST and gRPC interface.

The folder given by --model_base_path holds one numeric folder per version; the newest
is served, and a newer one takes over as soon as it appears. Publish by renaming a
finished folder.

  # One model: gRPC on port 8500, REST on port 8501, this machine only.
  python -m serving.server --model_name=ctr --model_base_path=export/ctr

  # Ask it.
  curl localhost:8501/v1/models/ctr/metadata
  python -m serving.client predict --model_name=ctr --inputs='{"age": [31]}'

  # Several models, version policies and labels: a ModelServerConfig text proto.
  python -m serving.server --model_config_file=serving/models.config

There is no authentication and no encryption. The server listens on loopback only;
--host=0.0.0.0 opens it to everyone who can reach the machine, the right to load other
models (HandleReloadConfigRequest) included.
"""

import asyncio
import functools
import os
import signal
import sys
from pathlib import Path

from absl import app, flags, logging

from serving.errors import ServingError

FLAGS = flags.FLAGS
flags.DEFINE_string("model_name", "default", "Name of the model in requests.")
flags.DEFINE_string("model_base_path", "", "Folder that holds the version folders.")
flags.DEFINE_string(
    "model_config_file",
    "",
    "ModelServerConfig text proto; replaces --model_name and --model_base_path.",
)
flags.DEFINE_string("host", "127.0.0.1", "Address that both interfaces listen on.")
flags.DEFINE_integer("port", 8500, "gRPC port; 0 turns gRPC off, -1 takes a free port.")
flags.DEFINE_integer(
    "rest_api_port", 8501, "REST port; 0 turns REST off, -1 takes a free port."
)
flags.DEFINE_integer(
    "rest_api_timeout_in_ms", 30000, "Time limit of a REST request.", lower_bound=1
)
flags.DEFINE_float(
    "file_system_poll_wait_seconds", 1.0, "Time between looks for new versions."
)
flags.DEFINE_integer("max_num_load_retries", 5, "Further tries after a failed load.")
flags.DEFINE_integer(
    "load_retry_interval_micros", 60_000_000, "Time between tries to load."
)
flags.DEFINE_bool("enable_model_warmup", True, "Replay a version's warm-up requests.")
flags.DEFINE_bool(
    "require_manifest", False, "Refuse versions without a manifest.json of checksums."
)
flags.DEFINE_integer(
    "num_request_threads", None, "Requests computed at once. Default: 2 per core."
)
flags.DEFINE_integer(
    "max_pending_requests",
    1000,
    "Requests running or waiting; one more gets 429 or RESOURCE_EXHAUSTED.",
    lower_bound=1,
)
flags.DEFINE_integer(
    "max_request_bytes", 64 << 20, "Largest request body or message.", lower_bound=1
)
flags.DEFINE_float(
    "drain_seconds", 30.0, "Time that running requests get after SIGTERM."
)
flags.DEFINE_integer(
    "tensorflow_intra_op_parallelism", 0, "Threads within an op; 0 lets it choose."
)
flags.DEFINE_integer(
    "tensorflow_inter_op_parallelism", 0, "Threads between ops; 0 lets it choose."
)


async def serve() -> None:
    """Loads the models, then serves until SIGTERM or SIGINT.

    Raises:
        ServingError: if a model cannot be loaded at the start.
        OSError, RuntimeError: if a port is taken.
    """
    import tensorflow as tf

    from serving.grpc_service import GrpcService
    from serving.load_version import load_version
    from serving.model_config import ModelConfig, read_model_config_file
    from serving.model_manager import ModelManager
    from serving.request_pool import RequestPool
    from serving.rest_api import RestApi

    session_config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=FLAGS.tensorflow_intra_op_parallelism,
        inter_op_parallelism_threads=FLAGS.tensorflow_inter_op_parallelism,
        # Two versions must fit beside each other while one replaces the other.
        gpu_options={"allow_growth": True},
    )
    load = functools.partial(
        load_version,
        require_manifest=FLAGS.require_manifest,
        enable_warmup=FLAGS.enable_model_warmup,
        session_config=session_config,
    )
    manager = ModelManager(
        load, FLAGS.max_num_load_retries, FLAGS.load_retry_interval_micros / 1e6
    )
    if FLAGS.model_config_file:
        configs = read_model_config_file(FLAGS.model_config_file)
    else:
        base_path = str(Path(FLAGS.model_base_path).absolute())
        configs = [ModelConfig(FLAGS.model_name, base_path)]
    manager.configure(configs)
    manager.start_watching(FLAGS.file_system_poll_wait_seconds)

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    pool = RequestPool(
        FLAGS.num_request_threads or 2 * (os.cpu_count() or 1),
        FLAGS.max_pending_requests,
    )
    limit, drain = FLAGS.max_request_bytes, FLAGS.drain_seconds
    grpc_service = GrpcService(manager, pool, limit, drain)
    rest_api = RestApi(manager, pool, limit, FLAGS.rest_api_timeout_in_ms / 1e3, drain)
    if FLAGS.port:
        port = await grpc_service.start(FLAGS.host, max(FLAGS.port, 0))
        print(f"gRPC listens on {FLAGS.host}:{port}", flush=True)
    if FLAGS.rest_api_port:
        port = await rest_api.start(FLAGS.host, max(FLAGS.rest_api_port, 0))
        print(f"REST listens on {FLAGS.host}:{port}", flush=True)
    print("Ready.", flush=True)

    await stopped.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        # A second signal ends the process at once.
        asyncio.get_running_loop().remove_signal_handler(number)
    logging.info("Stopping; running requests get %s s.", drain)
    await asyncio.gather(grpc_service.stop(), rest_api.stop())
    pool.close()
    manager.close()


def main(argv: list[str]) -> None:
    """Checks the flags and serves."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    if not FLAGS.model_base_path and not FLAGS.model_config_file:
        raise app.UsageError(
            "Give --model_base_path or --model_config_file. Received: neither"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    if not FLAGS["verbosity"].present:
        logging.set_verbosity(logging.INFO)
    try:
        asyncio.run(serve())
    except (ServingError, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"Failed to start server. Error: {error}")


if __name__ == "__main__":
    app.run(main)
