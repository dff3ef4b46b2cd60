"""Our own client and its command line, over both protocols."""

import contextlib
import json
import subprocess
import sys

import numpy as np
import pytest

from serving.client import Client, PredictionError

pytestmark = pytest.mark.serving


@pytest.fixture(params=["rest", "grpc"])
def server(request, served):
    return served.rest if request.param == "rest" else f"grpc://{served.grpc}"


@pytest.fixture
def client(server):
    client = Client(server, "demo", timeout=20)
    yield client
    client.close()


def test_predict(client):
    assert client.predict({"x": [2, 4]})["y"].tolist() == [3.0, 4.0]
    assert client.predict({"x": np.float32([2.0])})["y"].tolist() == [3.0]
    inputs = {"age": [30.0], "clicks": np.array([[1, 2]]), "country": [b"de"]}
    outputs = client.predict(inputs, "mixed")
    assert outputs["score"].tolist() == [[35.0]]
    assert outputs["raw_bytes"].tolist() == [b"de"]


def test_classify_and_regress(client):
    examples = [{"age": 1.0, "country": b"de"}, {"age": np.float32([4.5])}]
    assert client.regress(examples, "regress") == [103.0, 6.5]
    assert client.classify(examples[1:], "classify") == [[("no", -6.5), ("yes", 6.5)]]


def test_metadata_and_status(client):
    metadata = client.metadata()
    assert metadata["model_spec"]["version"] == "2"
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert signatures["mixed"]["inputs"]["clicks"]["dtype"] == "DT_INT64"
    assert [(s["version"], s["state"]) for s in client.status()] == [("2", "AVAILABLE")]


def test_version_and_label(server):
    for kwargs, expected in (({"version": 1}, 2.0), ({"label": "canary"}, 3.0)):
        client = Client(server, "both", timeout=20, **kwargs)
        assert client.predict({"x": [2.0]})["y"].tolist() == [expected]
        client.close()


def test_refusals(client, server):
    message = r"(404|NOT_FOUND): Servable not found"
    with (
        contextlib.closing(Client(server, "m")) as unknown,
        pytest.raises(PredictionError, match=message),
    ):
        unknown.predict({"x": [1.0]})
    with pytest.raises(PredictionError, match="x"):
        client.predict({"z": [1.0]})
    # The connection still works.
    assert client.predict({"x": [2.0]})["y"].tolist() == [3.0]


def test_values_that_do_not_fit_are_not_cast(client):
    inputs = {"age": [30.0], "clicks": [[1.5, 2]], "country": ["de"]}
    with pytest.raises((PredictionError, ValueError), match=r"clicks|int64"):
        client.predict(inputs, "mixed")


def test_bytes_keep_trailing_zeros(client, echo_types):
    inputs = {name: [b"a\x00"] if name == "string" else [1] for name in echo_types}
    inputs["bool"] = [True]
    outputs = client.predict(inputs, "echo")
    assert outputs["string_out"].tolist() in ([b"a\x00"], ["a\x00"])
    assert outputs["uint64_out"].tolist() == [1]


def test_arguments():
    with pytest.raises(ValueError, match="`server` must be http://host:port"):
        Client("localhost:8501", "m")
    with pytest.raises(ValueError, match="Give `version` or `label`, not both"):
        Client("http://localhost:8501", "m", version=1, label="x")


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "serving.client", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_command_line(served, tmp_path):
    flags = (f"--server={served.rest}", "--model_name=demo")
    file = tmp_path / "inputs.json"
    file.write_text('{"x": [2.0]}')
    for inputs in ('{"x": [2.0]}', f"@{file}"):
        result = run("predict", *flags, f"--inputs={inputs}")
        assert json.loads(result.stdout) == {"y": [3.0]}, result.stderr
    result = run("status", *flags)
    assert json.loads(result.stdout)[0]["state"] == "AVAILABLE"
    result = run("predict", f"--server={served.rest}", "--inputs={}")
    assert result.returncode == 1
    assert "404: Servable not found for request: Latest(default)" in result.stderr
    result = run("explain")
    assert "Give one of predict, classify" in result.stdout + result.stderr
    result = run("--help")
    assert "python -m serving.client predict" in result.stdout
