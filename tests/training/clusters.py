"""Clusters of processes on this machine, which end by their own ids."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile

from pipelines.free_ports import free_ports
from tests.harness import ROOT

SECONDS = 100  # after which a process is ended


class Servers:
    """A chief, workers and parameter servers that run one program.

    Attributes:
        processes: dict of a pair of task and index to the process.
    """

    def __init__(self, command, workers=1, ps=1):
        kinds = {"chief": 1, "worker": workers, "ps": ps}
        ports = free_ports(sum(kinds.values()))
        self.command = command
        self.cluster = {
            kind: [f"127.0.0.1:{ports.pop()}" for _ in range(count)]
            for kind, count in kinds.items()
        }
        self.processes, self._outputs, self._files = {}, {}, []
        for kind, hosts in self.cluster.items():
            for index in range(len(hosts)):
                self.start(kind, index)

    def start(self, kind, index=0):
        config = {"cluster": self.cluster, "task": {"type": kind, "index": index}}
        output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._files.append(output)
        self._outputs[kind, index] = output
        self.processes[kind, index] = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env={
                **os.environ,
                "TF_CONFIG": json.dumps(config),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "GRPC_VERBOSITY": "NONE",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def chief(self):
        return self.processes["chief", 0]

    def kill(self, kind, index=0, number=signal.SIGKILL):
        process = self.processes[kind, index]
        process.send_signal(number)
        process.wait(SECONDS)

    def said(self, kind="chief", index=0):
        output = self._outputs[kind, index]
        output.seek(0)
        return output.read()

    def end(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        for output in self._files:
            output.close()


@contextlib.contextmanager
def servers(program, *arguments, workers=1, ps=1):
    """Starts `python -m program arguments …` in each process of a cluster."""
    command = [sys.executable, "-m", program, *map(str, arguments)]
    cluster = Servers(command, workers, ps)
    try:
        yield cluster
    finally:
        cluster.end()


def finished(program, *arguments, status=0, **options):
    """Runs a cluster until its chief ends; what the chief said."""
    with servers(program, *arguments, **options) as cluster:
        cluster.chief.wait(SECONDS)
        said = cluster.said()
        assert cluster.chief.returncode == status, said
    return said
