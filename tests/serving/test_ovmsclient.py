"""`ovmsclient`, a client from PyPI with protos of its own.

It runs in a process without TensorFlow: both register the same proto files. Versions
are given: over gRPC it sends version 0 for none, which TF Serving takes literally.
"""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.serving

PROGRAM = """
import json, sys
import numpy as np
import ovmsclient
from ovmsclient.tfs_compat.base import errors

answers = {}
for kind, address in json.loads(sys.argv[1]).items():
    client = getattr(ovmsclient, f"make_{kind}_client")(address)
    answers[kind] = {
        "predict": client.predict({"x": np.float32([2.0, 4.0])}, "demo", 2).tolist(),
        "older": client.predict({"x": np.float32([2.0])}, "both", 1).tolist(),
        "metadata": client.get_model_metadata("demo", 2),
        "status": client.get_model_status("both", 1),
    }
    try:
        client.predict({"x": np.float32([2.0])}, "m", 1)
    except errors.ModelNotFoundError as error:
        answers[kind]["error"] = str(error)
assert "tensorflow" not in sys.modules
print(json.dumps(answers, default=str))
"""


def test_predict_metadata_status_and_error(served):
    addresses = {"grpc": served.grpc, "http": served.rest.removeprefix("http://")}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, json.dumps(addresses)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    answers = json.loads(result.stdout)
    assert answers.keys() == {"grpc", "http"}
    for answer in answers.values():
        assert answer["predict"] == [3.0, 4.0]
        assert answer["older"] == [2.0]
        assert {v: s["state"] for v, s in answer["status"].items()} == {
            "1": "AVAILABLE"
        }
        assert "Servable not found for request: Specific(m, 1)" in answer["error"]
    assert answers["grpc"]["metadata"] == {
        "model_version": 2,
        "inputs": {"x": {"dtype": "DT_FLOAT", "shape": [-1]}},
        "outputs": {"y": {"dtype": "DT_FLOAT", "shape": [-1]}},
    }
    # Over HTTP it hands back the JSON when the names are TF Serving's.
    signatures = answers["http"]["metadata"]["metadata"]["signature_def"][
        "signature_def"
    ]
    assert signatures["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"
