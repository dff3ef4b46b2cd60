"""Asks a prediction server of its own over REST and gRPC, beside Keras itself."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_START_SECONDS = 60


def ask_server(export: Path, workdir: Path, raw: Path) -> None:
    """Serves an export, asks it once over REST and once over gRPC, and compares.

    Args:
        export: folder with the version folders.
        workdir: run directory of the model that was exported.
        raw: CSV log; its last row is asked.

    Raises:
        ValueError: if an answer differs from the Keras prediction by more than 1e-5.
        RuntimeError: if the server does not start.
    """
    command = [
        *(sys.executable, "-m", "serving.server", "--model_name=deepfm"),
        f"--model_base_path={export}",
        "--rest_api_port=-1",
        "--port=-1",
    ]
    print("$ python " + shlex.join(command[1:]), flush=True)
    log = workdir / "server.log"
    with open(log, "wb") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        row, expected = _keras_prediction(workdir, raw)  # while the server loads
        rest_address, grpc_address = _addresses(server, log)
        request = workdir / "request.json"
        request.write_text(json.dumps({name: [v] for name, v in row.items()}))
        rest = _ask(f"http://{rest_address}", request)
        grpc = _ask(f"grpc://{grpc_address}", request)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    print(f"raw features: {json.dumps(row)}")
    for source, answer in (("Keras", expected), ("REST", rest), ("gRPC", grpc)):
        print(f"{source + ':':<7}{json.dumps(answer)}")
        for name, value in expected.items():
            if abs(answer[name] - value) > 1e-5:
                raise ValueError(
                    f"The {source} answer for '{name}' differs from Keras's "
                    f"prediction. Received: {answer[name]}, expected {value}"
                )


def _keras_prediction(workdir: Path, raw: Path) -> tuple[dict, dict]:
    """The last row of a log as a request, and what Keras predicts for it."""
    import keras
    import numpy as np

    import keras_recs

    schema = keras_recs.Schema.load(workdir)
    with open(raw, newline="", encoding="utf-8") as file:
        for last in csv.DictReader(file):  # noqa: B007
            pass
    model = keras.models.load_model(workdir / "model.keras")
    columns = {name: [last[name]] for name in schema.columns}
    dataset = keras_recs.data.array_dataset(columns, schema, 1, shuffle=False)
    inputs, _ = next(iter(dataset))
    outputs = model.predict_on_batch(inputs)
    expected = {name: float(np.ravel(value)[0]) for name, value in outputs.items()}
    row = {
        name: _json_value(last[name], column)
        for name, column in schema.request_columns.items()
    }
    return row, expected


def _json_value(text: str, column: Any) -> Any:
    """A CSV value as a request holds it; missing is `""`, −1 or NaN."""
    if column.is_list:
        item = dataclasses.replace(column, is_list=False)
        return [_json_value(value, item) for value in text.split(column.separator)]
    if column.dtype == "string":
        return text
    if column.dtype == "int64":
        return int(text) if text else -1
    return float(text) if text else float("nan")


def _addresses(server: subprocess.Popen, log: Path) -> tuple[str, str]:
    """Where a server listens, once it is ready."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        if "Ready." in text:
            rest = re.search(r"REST listens on (\S+)", text)
            grpc = re.search(r"gRPC listens on (\S+)", text)
            if rest and grpc:
                return rest[1], grpc[1]
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(
        f"The server did not start within {_START_SECONDS} s; it said:\n"
        + log.read_text(errors="replace")[-2000:]
    )


def _ask(server: str, request: Path) -> dict[str, float]:
    command = [
        *(sys.executable, "-m", "serving.client", "predict"),
        f"--server={server}",
        "--model_name=deepfm",
        f"--inputs=@{request}",
    ]
    print("$ python " + shlex.join(command[1:]), flush=True)
    answer = subprocess.run(
        command, check=True, timeout=60, stdout=subprocess.PIPE, text=True
    )
    return {name: value[0][0] for name, value in json.loads(answer.stdout).items()}
