"""Clusters of processes on this machine, which end by their own ids."""

import contextlib
import json
import signal

from pipelines.free_ports import free_ports
from tests.preloaded import Preloaded

SECONDS = 100  # after which a process is ended


class Servers:
    """A chief, workers and parameter servers that run one program.

    Attributes:
        processes: dict of a pair of task and index to the process.
    """

    def __init__(self, program, arguments, workers=1, ps=1):
        kinds = {"chief": 1, "worker": workers, "ps": ps}
        ports = free_ports(sum(kinds.values()))
        self.arguments = ("-m", program, *arguments)
        self.cluster = {
            kind: [f"127.0.0.1:{ports.pop()}" for _ in range(count)]
            for kind, count in kinds.items()
        }
        self.processes, self._all = {}, []
        for kind, hosts in self.cluster.items():
            for index in range(len(hosts)):
                self.start(kind, index)

    def start(self, kind, index=0):
        config = {"cluster": self.cluster, "task": {"type": kind, "index": index}}
        process = Preloaded(
            *self.arguments,
            TF_CONFIG=json.dumps(config),
            TF_CPP_MIN_LOG_LEVEL="3",
            GRPC_VERBOSITY="NONE",
        )
        self.processes[kind, index] = process
        self._all.append(process)

    @property
    def chief(self):
        return self.processes["chief", 0]

    def kill(self, kind, index=0, number=signal.SIGKILL):
        process = self.processes[kind, index]
        process.send_signal(number)
        process.wait(SECONDS)

    def said(self, kind="chief", index=0):
        return self.processes[kind, index].said()

    def end(self):
        for process in self._all:
            process.close()


@contextlib.contextmanager
def servers(program, *arguments, workers=1, ps=1):
    """Starts `python -m program arguments …` in each process of a cluster."""
    cluster = Servers(program, arguments, workers, ps)
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
