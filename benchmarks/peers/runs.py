"""Runs of the peers: one process each, under limits, kept in a file."""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.build_venvs import OWN, is_current
from benchmarks.peers.peer_run import SKIPPED

HERE = Path(__file__).resolve().parent
FINAL = ("done", "skipped", "timeout", "memory")  # what is not tried again
ONEDNN = "_onednn"
LIMITS = ("timeout", "memory")  # unless there are other limits


@dataclasses.dataclass(frozen=True)
class Peer:
    """A library and its environment.

    A name that ends with `_onednn` is the library with oneDNN, which TensorFlow takes
    by itself only on newer processors.
    """

    name: str
    folder: Path

    @property
    def library(self) -> str:
        """Its name."""
        return self.name.removesuffix(ONEDNN)

    @property
    def venv(self) -> Path:
        """Its environment; the running one for those that share it."""
        is_own = self.library in OWN
        return Path(sys.prefix) if is_own else self.folder / self.library

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.venv / "bin" / "python"

    @property
    def exists(self) -> bool:
        """Whether the environment is there, whole and of today's requirements."""
        return self.library in OWN or is_current(self.venv, self.library)

    @property
    def program(self) -> Path:
        """What runs a cell."""
        return HERE / f"run_{self.library}.py"

    def code(self) -> str:
        """Digest of the program and what it imports, the library where it is this."""
        others = {path for path in HERE.glob("*.py") if path.name.startswith("peer_")}
        own = HERE / f"models_{self.library}.py"
        paths = [self.program, *([own] if own.exists() else []), *sorted(others)]
        if self.library == "keras_recs":
            paths += sorted((HERE.parents[1] / "keras_recs").rglob("*.py"))
        digest = hashlib.sha256()
        for path in paths:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def version(self, distribution: str) -> str | None:
        """The installed version, read without starting the interpreter."""
        paths = [str(path) for path in self.venv.glob("lib/python*/site-packages")]
        for found in importlib.metadata.distributions(name=distribution, path=paths):
            return found.version
        return None


class RunFile:
    """The JSON file; every finished run is written at once."""

    def __init__(self, path: Path, header: dict | None, *, fresh: bool):
        self._path = path
        self.header = header or {}
        self.runs: list[dict] = []
        self.cells: list[dict] = []
        if path.exists() and not fresh:
            content = json.loads(path.read_text(encoding="utf-8"))
            self.runs, self.cells = content.pop("runs"), content.pop("cells")
            self.header = header or content

    def forget_stale(self, peers: Sequence[Peer], spec: dict, limits: dict) -> None:
        """Forgets a whole cell if a run of it is out of date.

        Its libraries are compared with each other, so all are measured again where the
        program, the library or the machine of one is another now.
        """
        known = {peer.name: peer for peer in peers}
        stale = False
        for run in [run for run in self.runs if run["spec"] == spec]:
            peer = known.get(run["peer"])
            if peer is None:
                continue
            versions = run.get("result", {}).get("versions", {})
            stale = stale or (
                run["code"] != peer.code()
                or run.get("machine") != self.machine
                or any(peer.version(name) != value for name, value in versions.items())
            )
            if run["status"] not in FINAL or (
                run["status"] in LIMITS and run["limits"] != limits
            ):
                self.runs.remove(run)
        if stale:
            self.runs = [run for run in self.runs if run["spec"] != spec]

    def is_done(self, peer: Peer, spec: dict, number: int) -> bool:
        """Whether the run need not be made."""
        same = [r for r in self.runs if r["peer"] == peer.name and r["spec"] == spec]
        # What did not work is not tried again in the next round.
        return any(r["round"] == number or r["status"] != "done" for r in same)

    @property
    def machine(self) -> str:
        """What the runs are measured on."""
        return f"{self.header.get('cores')} cores of {self.header.get('processor')}"

    def add(self, run: dict) -> None:
        """Appends a run and saves."""
        self.runs.append({**run, "machine": self.machine})
        self.save()

    def save(self) -> None:
        """Writes the file whole, or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = {**self.header, "cells": self.cells, "runs": self.runs}
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, self._path)


def run_peer(peer: Peer, spec: dict, data: Path, limits: dict[str, float]) -> dict:
    """Runs a cell in a process of its own and ends it at its limits.

    Args:
        peer: the library.
        spec: the cell.
        data: what `make_data` wrote for it.
        limits: `timeout` in seconds and `memory_gb`, resident.

    Returns:
        dict with `status`: `"done"` (and `result`), `"skipped"`, `"timeout"`,
        `"memory"` or `"failed"` (and `why`). `foreign_cores` is what other processes
        of the machine used meanwhile: a figure beside much of it is worth little.
    """
    threads = str(spec["threads"])
    environment = {
        **{k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **({"TF_ENABLE_ONEDNN_OPTS": "1"} if peer.name.endswith(ONEDNN) else {}),
    }
    run = {
        "peer": peer.name,
        "spec": spec,
        "code": peer.code(),
        "limits": limits,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }
    start, before = time.perf_counter(), _foreign_seconds()
    argument = json.dumps({**spec, "data": str(data)})
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [str(peer.python), str(peer.program), "--spec", argument],
            stdout=out,
            stderr=err,
            env=environment,
            start_new_session=True,
        )
        try:
            ended = _watch(process, **limits)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        wall = time.perf_counter() - start
        run["seconds"] = round(wall, 1)
        run["foreign_cores"] = round(max(0.0, _foreign_seconds() - before) / wall, 2)
        out.seek(0)
        err.seek(0)
        lines, errors = out.read().strip().splitlines(), err.read().strip()
    if ended:
        return {**run, "status": ended[0], "why": ended[1]}
    last = lines[-1] if lines else ""
    if process.returncode == 0:
        return {**run, "status": "done", "result": json.loads(last)}
    if process.returncode == SKIPPED:
        return {**run, "status": "skipped", "why": json.loads(last)["skipped"]}
    why = f"exit code {process.returncode}: {errors[-600:]}"
    return {**run, "status": "failed", "why": why}


def _watch(process, timeout: float, memory_gb: float) -> tuple[str, str] | None:
    """Waits for the end; which limit was reached, if any."""
    end = time.monotonic() + timeout
    while process.poll() is None:
        if time.monotonic() > end:
            return "timeout", f"longer than {timeout:g} s"
        if _resident_gb(process.pid) > memory_gb:
            return "memory", f"more than {memory_gb:g} GB"
        time.sleep(0.2)
    return None


def _resident_gb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


def _foreign_seconds() -> float:
    """Processor time of everything but the runs; 0 where it cannot be told."""
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return 0.0
    user, nice, system, _, _, irq, softirq, steal = map(int, words[1:9])
    ticks = user + nice + system + irq + softirq + steal
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ticks / os.sysconf("SC_CLK_TCK") - own.ru_utime - own.ru_stime
