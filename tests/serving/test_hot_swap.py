"""Versions change under load, and the server stops, without a failed request."""

import concurrent.futures
import shutil
import signal
import subprocess
import threading
import time

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import (
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.preloaded import run_preloaded

pytestmark = pytest.mark.serving


@pytest.fixture(scope="module")
def base_path(saved_models, tmp_path_factory):
    base_path = tmp_path_factory.mktemp("hot") / "m"
    shutil.copytree(saved_models / "1", base_path / "1")
    return base_path


@pytest.fixture(scope="module")
def server(start_server, base_path):
    return start_server(f"--model_base_path={base_path}", "--model_name=m")


def publish(source, base_path, version):
    """Copies under a name that is no number, then renames."""
    shutil.copytree(source, base_path / f"tmp-{version}")
    (base_path / f"tmp-{version}").rename(base_path / str(version))


def ask_rest(server, answers, stop):
    with requests.Session() as session:
        while not stop.is_set():
            url = f"{server.rest}/v1/models/m:predict"
            response = session.post(url, json={"instances": [2.0]}, timeout=20)
            answers.append((response.status_code, response.json()["predictions"][0]))


def ask_grpc(server, answers, stop):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([2.0])))
    with grpc.insecure_channel(server.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        while not stop.is_set():
            response = stub.Predict(request, timeout=20)
            answers.append((200, response.outputs["y"].float_val[0]))


def slow_request(server, seconds):
    body = {"signature_name": "slow", "instances": [seconds]}
    return requests.post(f"{server.rest}/v1/models/m:predict", json=body, timeout=30)


def states(server):
    answer = requests.get(f"{server.rest}/v1/models/m", timeout=20).json()
    return {s["version"]: s["state"] for s in answer["model_version_status"]}


def test_new_version_under_load(server, base_path, saved_models):
    stop = threading.Event()
    with concurrent.futures.ThreadPoolExecutor() as threads:
        logs = []
        clients = []
        for ask in (ask_rest, ask_rest, ask_grpc):
            logs.append([])
            clients.append(threads.submit(ask, server, logs[-1], stop))
        # Started on version 1 and still running when version 2 takes over.
        slow = threads.submit(slow_request, server, 2.5)
        try:
            time.sleep(0.5)
            publish(saved_models / "2", base_path, 2)
            deadline = time.monotonic() + 20
            while any(not log or log[-1][1] != 3.0 for log in logs):
                assert time.monotonic() < deadline, states(server)
                time.sleep(0.05)
            swapped_while_slow = not slow.done()
            time.sleep(0.3)
        finally:
            stop.set()
        for client in clients:
            client.result(timeout=30)  # raises what a request raised
        # Half of 2.5 and the offset of version 1.
        assert slow.result(timeout=30).json() == {"predictions": [2.25]}
    assert swapped_while_slow
    for log in logs:
        assert len(log) > 20
        assert {status for status, _ in log} == {200}
        values = [value for _, value in log]
        assert set(values) == {2.0, 3.0}
        assert values == sorted(values)  # one switch, never back
    deadline = time.monotonic() + 20
    while states(server) != {"1": "END", "2": "AVAILABLE"}:
        assert time.monotonic() < deadline, states(server)
        time.sleep(0.05)


def test_damaged_version_is_reported_and_not_served(server, base_path, saved_models):
    shutil.copytree(saved_models / "2", base_path / "tmp-3")
    (base_path / "tmp-3" / "manifest.json").write_text('{"files": {"x.pb": "00"}}')
    (base_path / "tmp-3").rename(base_path / "3")
    deadline = time.monotonic() + 20
    while states(server).get("3") != "END":
        assert time.monotonic() < deadline, states(server)
        time.sleep(0.05)
    url = f"{server.rest}/v1/models/m"
    status = requests.get(f"{url}/versions/3", timeout=20).json()
    error = status["model_version_status"][0]["status"]
    assert error["error_code"] == "UNKNOWN"
    assert "not listed in" in error["error_message"]
    answer = requests.post(f"{url}:predict", json={"instances": [2.0]}, timeout=20)
    assert answer.json() == {"predictions": [3.0]}


def test_sigterm_drains(server):
    """The last test of this module: it ends the server."""
    with concurrent.futures.ThreadPoolExecutor() as threads:
        slow = threads.submit(slow_request, server, 1.5)
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        # New connections are refused while the old request runs.
        assert not slow.done()
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{server.rest}/v1/models/m", timeout=5)
        assert slow.result(timeout=30).json() == {"predictions": [2.75]}
    assert server.process.wait(timeout=20) == 0
    server.reader.join(timeout=10)
    assert "Traceback" not in server.output


def run(start_server, *flags):
    server = start_server(*flags, wait=False)
    try:
        code = server.process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        server.kill()
        raise
    server.reader.join(timeout=10)
    return code, server.output


def test_model_that_fails_at_the_start(start_server, base_path, tmp_path):
    shutil.copytree(base_path / "1", tmp_path / "1")
    (tmp_path / "1" / "variables" / "variables.index").write_bytes(b"")
    code, output = run(start_server, f"--model_base_path={tmp_path}")
    assert code == 1
    assert "Failed to start server. Error: Model default did not become" in output
    assert "Traceback" not in output


def test_taken_port(served, saved_models):
    for flag, address in (("port", served.grpc), ("rest_api_port", served.rest)):
        port = address.rpartition(":")[2]
        # Of a flag that comes twice the last one counts.
        ports = ("--port=-1", "--rest_api_port=-1", f"--{flag}={port}")
        path = f"--model_base_path={saved_models}"
        done = run_preloaded("-m", "serving.server", path, *ports, check=False)
        assert done.returncode == 1
        output = done.stdout + done.stderr
        assert "Failed to start server. Error:" in output
        assert port in output


def test_flags_that_are_missing(start_server):
    code, output = run(start_server)
    assert code == 1
    assert "Give --model_base_path or --model_config_file" in output


def test_help_shows_examples(start_server):
    _, output = run(start_server, "--help")
    assert "python -m serving.server --model_name=ctr" in output
    assert "--[no]require_manifest" in output
