"""A SavedModel run in another process, by the C++ loader alone."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_recs.export.tensor_file import read_tensors, write_tensors


@dataclasses.dataclass(frozen=True)
class Request:
    """One run of the graph: arrays by tensor name, and the names to compute."""

    feeds: Mapping[str, np.ndarray]
    fetches: Sequence[str]


class FreshProcess:
    """Starts a process that loads a SavedModel and answers requests.

    The process (`keras_recs.export.run_requests`) knows only the folder: no Python
    object, no traced function and no TensorFlow import of this one can help it. It
    runs on the CPU. Use it as a context manager, which ends the process.

    Args:
        folder: folder of the SavedModel.
        requests: list of `Request`.
        timeout: float. Seconds until the process is killed.

    Example:
    ```python
    with FreshProcess("export/deepfm/1", [request], timeout=60) as process:
        expected = model(inputs)  # meanwhile
        answers = process.results()
    ```
    """

    def __init__(
        self, folder: str | os.PathLike, requests: Sequence[Request], timeout: float
    ):
        self.folder = folder
        self.timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._fetches = [len(request.fetches) for request in requests]
        self._exchange = tempfile.TemporaryDirectory(prefix="keras_recs_check_")
        path = Path(self._exchange.name)
        plan = [
            {"feeds": list(request.feeds), "fetches": list(request.fetches)}
            for request in requests
        ]
        (path / "requests.json").write_text(json.dumps(plan), encoding="utf-8")
        tensors = [tensor for request in requests for tensor in request.feeds.values()]
        write_tensors(path / "feeds.npz", tensors)
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.run_requests", str(folder), path],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def results(self) -> list[list[np.ndarray]]:
        """Waits for the answers: the fetched arrays of each request.

        Raises:
            RuntimeError: with the process's last words, if it failed or took too long.
        """
        try:
            # Time enough to collect what a finished process has said.
            left = max(0.1, self._deadline - time.monotonic())
            _, errors = self._process.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            raise RuntimeError(
                f"TensorFlow's C++ loader did not finish with '{self.folder}' within "
                f"{self.timeout:.0f} s. Give it more `timeout`."
            ) from None
        if self._process.returncode:
            told = Path(self._exchange.name) / "error.txt"
            if told.exists():
                words = told.read_text(encoding="utf-8")
            else:  # it crashed
                words = errors.decode("utf-8", "replace").strip()[-3000:]
            raise RuntimeError(
                f"TensorFlow's C++ loader failed on '{self.folder}' (exit status "
                f"{self._process.returncode}): {words}"
            )
        tensors = iter(read_tensors(Path(self._exchange.name) / "fetches.npz"))
        return [[next(tensors) for _ in range(count)] for count in self._fetches]

    def __enter__(self) -> FreshProcess:
        return self

    def __exit__(self, *exception) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._exchange.cleanup()


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        # The same packages as here, however this process came to find them.
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        # This process may hold all of the GPU's memory.
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_RECS_WITHOUT_KERAS": "1",
    }
