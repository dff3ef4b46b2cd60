"""Latency and throughput of the prediction server beside a bare in-process call.

  python -m benchmarks.server --model_base_path=export/ctr --output=server.json

Takes the newest version, and rows from its warm-up requests, or random ones if it has
none. Measures the signature called in this process, then over REST and gRPC with
clients in processes of their own, each sending its next request when the last one is
answered. Clients send bytes made beforehand and do not decode the answers: what is
measured is the server. Prints a Markdown table and writes JSON.
"""

import base64
import concurrent.futures
import datetime
import http.client
import importlib.metadata
import json
import math
import multiprocessing
import os
import pathlib
import platform
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("model_base_path", None, "Folder that holds version folders.")
flags.DEFINE_string("signature_name", "serving_default", "Signature to call.")
flags.DEFINE_string("output", None, "JSON file to write.")
flags.DEFINE_list("batch_sizes", ["1", "100"], "Rows in a request.")
flags.DEFINE_list("clients", ["1", "8"], "Clients at once.")
flags.DEFINE_float("seconds", 5.0, "Duration of each measurement.")
flags.DEFINE_list("server_flags", [], "Further flags of serving.server.")

_WARMUP_CALLS = 20
# Starting Python eight times on few cores, and a last slow request.
_SLACK_SECONDS = 120.0
_ROOT = pathlib.Path(__file__).parents[1]


def main(argv: Sequence[str]) -> None:
    """Measures, prints and writes."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    base_path = pathlib.Path(FLAGS.model_base_path).absolute()
    versions = [int(p.name) for p in base_path.iterdir() if p.name.isdecimal()]
    if not versions:
        raise app.UsageError(
            "`model_base_path` must hold a numeric version folder. Received: "
            f"model_base_path={base_path}"
        )
    folder = base_path / str(max(versions))

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from serving.servable import Servable

    servable = Servable("model", max(versions), folder)
    rows, source = _rows(servable, folder)
    batch_sizes = [int(size) for size in FLAGS.batch_sizes]
    batches = {
        size: {k: np.take(v, np.arange(size) % len(v), 0) for k, v in rows.items()}
        for size in batch_sizes
    }
    results = []
    for kind, make_call in (
        ("in-process, session", lambda batch: _session_call(servable, batch)),
        ("in-process, tf.saved_model", _saved_model_calls(folder)),
    ):
        for size in batch_sizes:
            for clients in map(int, FLAGS.clients):
                latencies, seconds = _run_threads(make_call(batches[size]), clients)
                results.append(_result(kind, clients, size, latencies, seconds))
    servable.close()

    with _Server(base_path) as server:
        for kind in ("REST", "gRPC"):
            for size in batch_sizes:
                target = server.targets(kind, batches[size])
                for clients in map(int, FLAGS.clients):
                    latencies, seconds = _run_processes(target, clients)
                    results.append(_result(kind, clients, size, latencies, seconds))

    report = {
        "command": " ".join(["python -m benchmarks.server", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "hardware": _hardware(),
        "packages": {
            name: importlib.metadata.version(name)
            for name in ("tensorflow", "numpy", "aiohttp", "grpcio", "protobuf")
        },
        "model": FLAGS.model_base_path,
        "signature_name": FLAGS.signature_name,
        "inputs": {k: [str(v.dtype), *v.shape[1:]] for k, v in rows.items()},
        "rows": source,
        "results": results,
    }
    print(_markdown(results))
    if FLAGS.output:
        path = pathlib.Path(FLAGS.output)
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


# === What is sent ===


def _rows(servable: Any, folder: pathlib.Path) -> tuple[dict[str, np.ndarray], str]:
    """Returns input arrays of some rows, and where they come from."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    from serving.tensor_proto import decode
    from serving.warmup import WARMUP_FILE

    path = folder / WARMUP_FILE
    if path.exists():
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record)
            request = log.predict_log.request
            name = request.model_spec.signature_name or "serving_default"
            if request.inputs and name == FLAGS.signature_name:
                inputs = {k: decode(v) for k, v in request.inputs.items()}
                return inputs, "warm-up requests"
    random = np.random.default_rng(0)
    inputs = {}
    for name, info in servable.signature_defs[FLAGS.signature_name].inputs.items():
        # Unknown sizes other than the batch: a short sequence.
        sizes = [dim.size if dim.size > 0 else 10 for dim in info.tensor_shape.dim[1:]]
        shape = (1000, *sizes)
        dtype = tf.as_dtype(info.dtype)
        if dtype == tf.string:
            values = [b"%d" % v for v in random.integers(0, 10_000, math.prod(shape))]
            inputs[name] = np.array(values, object).reshape(shape)
        elif dtype.is_integer:
            inputs[name] = random.integers(0, 100, shape).astype(dtype.as_numpy_dtype)
        else:
            inputs[name] = random.random(shape).astype(dtype.as_numpy_dtype)
    return inputs, "random"


def _session_call(servable: Any, batch: dict[str, np.ndarray]) -> Callable[[], Any]:
    signature = servable.signatures[FLAGS.signature_name]
    feeds = {signature.inputs[name].tensor_name: v for name, v in batch.items()}
    fetches = [spec.tensor_name for spec in signature.outputs.values()]
    return lambda: servable.run(feeds, fetches)


def _saved_model_calls(folder: pathlib.Path) -> Callable[[Any], Callable[[], Any]]:
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))
    signature = model.signatures[FLAGS.signature_name]

    def make_call(batch: dict[str, np.ndarray]) -> Callable[[], Any]:
        def call() -> Any:
            # `model` must outlive the signature, which holds its variables weakly.
            assert model is not None
            tensors = {name: tf.constant(value) for name, value in batch.items()}
            return {k: v.numpy() for k, v in signature(**tensors).items()}

        return call

    return make_call


class _Server:
    """The server in a child process, on free ports."""

    def __init__(self, base_path: pathlib.Path):
        self._command = [
            *(sys.executable, "-m", "serving.server"),
            *(f"--model_base_path={base_path}", "--model_name=model"),
            *("--port=-1", "--rest_api_port=-1", *FLAGS.server_flags),
        ]
        self._addresses: dict[str, str] = {}

    def __enter__(self) -> "_Server":
        self._process = subprocess.Popen(
            self._command, cwd=_ROOT, stdout=subprocess.PIPE, text=True
        )
        watchdog = threading.Timer(_SLACK_SECONDS, self._process.kill)
        watchdog.start()
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if match := re.match(r"(\w+) listens on (\S+)", line):
                self._addresses[match[1]] = match[2]
            if line.startswith("Ready."):
                break
        watchdog.cancel()
        if len(self._addresses) != 2:
            self.__exit__()
            raise RuntimeError("serving.server did not start; see its output above.")
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def targets(
        self, kind: str, batch: dict[str, np.ndarray]
    ) -> tuple[str, str, bytes]:
        """Returns protocol, address and the bytes of a request."""
        if kind == "gRPC":
            from tensorflow_serving.apis import predict_pb2

            from serving.tensor_proto import encode

            request = predict_pb2.PredictRequest()
            request.model_spec.name = "model"
            request.model_spec.signature_name = FLAGS.signature_name
            for name, value in batch.items():
                request.inputs[name].CopyFrom(encode(value))
            return kind, self._addresses[kind], request.SerializeToString()
        columns = {name: _json_values(value) for name, value in batch.items()}
        instances = [
            dict(zip(columns, row, strict=True))
            for row in zip(*columns.values(), strict=True)
        ]
        body = {"signature_name": FLAGS.signature_name, "instances": instances}
        return kind, self._addresses[kind], json.dumps(body).encode()


def _json_values(array: np.ndarray) -> Any:
    """Returns nested lists; bytes as text where they are, otherwise as base64."""
    if array.dtype.kind != "O":
        return array.tolist()

    def leaf(value: bytes) -> Any:
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}

    return np.frompyfunc(leaf, 1, 1)(array).tolist()


# === Measuring ===


def _loop(call: Callable[[], Any], seconds: float) -> list[float]:
    for _ in range(_WARMUP_CALLS):
        call()
    latencies = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        call()
        latencies.append(time.perf_counter() - start)
    return latencies


def _run_threads(call: Callable[[], Any], clients: int) -> tuple[list[float], float]:
    with concurrent.futures.ThreadPoolExecutor(clients) as threads:
        loops = [threads.submit(_loop, call, FLAGS.seconds) for _ in range(clients)]
        latencies = [value for loop in loops for value in loop.result()]
    return latencies, FLAGS.seconds


def _run_processes(
    target: tuple[str, str, bytes], clients: int
) -> tuple[list[float], float]:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(clients)
    queue = context.Queue()
    processes = [
        context.Process(
            target=_client, args=(*target, FLAGS.seconds, barrier, queue), daemon=True
        )
        for _ in range(clients)
    ]
    for process in processes:
        process.start()
    try:
        answers = [queue.get(timeout=FLAGS.seconds + _SLACK_SECONDS) for _ in processes]
    finally:
        for process in processes:
            process.join(timeout=10)
            if process.is_alive():
                process.kill()
    failures = [answer for answer in answers if isinstance(answer, str)]
    if failures:
        raise RuntimeError(f"A request failed: {failures[0]}")
    return [value for latencies in answers for value in latencies], FLAGS.seconds


def _client(
    kind: str, address: str, payload: bytes, seconds: float, barrier: Any, queue: Any
) -> None:
    """Body of a client process, which must not import TensorFlow."""
    try:
        call = _grpc_call if kind == "gRPC" else _rest_call
        ask = call(address, payload)
        ask()
        barrier.wait(_SLACK_SECONDS)
        queue.put(_loop(ask, seconds))
    except Exception as error:
        barrier.abort()
        queue.put(repr(error))


def _rest_call(address: str, payload: bytes) -> Callable[[], None]:
    connection = http.client.HTTPConnection(address, timeout=_SLACK_SECONDS)
    headers = {"Content-Type": "application/json"}

    def call() -> None:
        connection.request("POST", "/v1/models/model:predict", payload, headers)
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {content[:500]!r}")

    return call


def _grpc_call(address: str, payload: bytes) -> Callable[[], None]:
    import grpc

    unlimited = [("grpc.max_receive_message_length", -1)]
    channel = grpc.insecure_channel(address, options=unlimited)
    predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

    def call() -> None:
        predict(payload, timeout=_SLACK_SECONDS)

    return call


# === Reporting ===


def _result(
    kind: str, clients: int, batch_size: int, latencies: list[float], seconds: float
) -> dict[str, Any]:
    milliseconds = np.array(latencies) * 1e3
    return {
        "kind": kind,
        "clients": clients,
        "batch_size": batch_size,
        "p50_ms": round(float(np.percentile(milliseconds, 50)), 3),
        "p99_ms": round(float(np.percentile(milliseconds, 99)), 3),
        "requests_per_second": round(len(latencies) / seconds, 1),
        "requests": len(latencies),
    }


def _markdown(results: list[dict[str, Any]]) -> str:
    lines = [
        "| call | batch | clients | p50 ms | p99 ms | requests/s | rows/s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in results:
        rows = r["requests_per_second"] * r["batch_size"]
        lines.append(
            f"| {r['kind']} | {r['batch_size']} | {r['clients']} | {r['p50_ms']:.2f} | "
            f"{r['p99_ms']:.2f} | {r['requests_per_second']:,.0f} | {rows:,.0f} |"
        )
    return "\n".join(lines)


def _hardware() -> dict[str, Any]:
    cpu = platform.processor()
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        match = re.search(r"model name\s*: (.*)", info.read_text())
        cpu = match[1] if match else cpu
    return {"cpu": cpu, "cores": os.cpu_count(), "platform": platform.platform()}


if __name__ == "__main__":
    flags.mark_flag_as_required("model_base_path")
    app.run(main)
