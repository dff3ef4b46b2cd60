r"""A cluster of processes on this machine, for tests and laptops.

Examples:
  python -m pipelines.launch_local --workers=2 -- python -m pipelines.train \
      --config=pipelines/configs/synthetic_deepfm.py --workdir=runs/deepfm \
      --strategy=multi_worker_mirrored

The command runs once a worker, each with its own TF_CONFIG, as other launchers set it.
Lines that a process writes begin with its name. Where one dies, all are started anew
and go on from the last checkpoint, up to --max_restarts times. SIGTERM and Ctrl-C reach
all of them, which save and end.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

from absl import flags, logging

from pipelines.free_ports import free_ports
from pipelines.run_program import run_program

WORKERS = flags.DEFINE_integer("workers", 2, "Processes that train.", 1)
MAX_RESTARTS = flags.DEFINE_integer(
    "max_restarts", 3, "How often the cluster is started anew.", 0
)
GRACE_SECONDS = flags.DEFINE_float(
    "grace_seconds", 30.0, "What processes get to save and end.", 0.0
)
_POLL = 0.1  # seconds


class Cluster:
    """Processes of one command, which end together."""

    def __init__(self, command: list[str], num_workers: int):
        hosts = [f"127.0.0.1:{port}" for port in free_ports(num_workers)]
        self.processes: dict[str, subprocess.Popen] = {}
        self._readers = []
        for index in range(num_workers):
            task = {"type": "worker", "index": index}
            config = {"cluster": {"worker": hosts}, "task": task}
            name = f"worker {index}"
            process = subprocess.Popen(
                command,
                env={**os.environ, "TF_CONFIG": json.dumps(config)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C comes once, from here
            )
            self.processes[name] = process
            reader = threading.Thread(target=_echo, args=(name, process), daemon=True)
            reader.start()
            self._readers.append(reader)

    def wait(self, stopped: list[int]) -> dict[str, int]:
        """Returns when all ended well, one did not, or a signal came: exit statuses."""
        while True:
            ended = {
                name: status
                for name, process in self.processes.items()
                if (status := process.poll()) is not None
            }
            all_ended = len(ended) == len(self.processes)
            if any(ended.values()) or all_ended or stopped:
                return ended
            time.sleep(_POLL)

    def end(self, grace_seconds: float) -> None:
        """Asks all to save and end, and ends those that do not."""
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + grace_seconds
        for process in self.processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for reader in self._readers:
            reader.join(5)


def _echo(name: str, process: subprocess.Popen) -> None:
    for line in process.stdout or ():
        text = line.decode(errors="replace").rstrip("\n")
        print(f"{name} | {text}", flush=True)


def main(arguments: list[str]) -> None:
    """Runs the program."""
    command = arguments[1:]
    if not command:
        raise ValueError(
            "A command must follow `--`: python -m pipelines.launch_local --workers=2 "
            "-- python -m pipelines.train …"
        )
    if command[0] == "python":
        command[0] = sys.executable
    stopped: list[int] = []  # by which signals; to raise here could leave processes
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stopped.append(number))
    for restart in range(MAX_RESTARTS.value + 1):
        cluster = Cluster(command, WORKERS.value)
        try:
            ended = cluster.wait(stopped)
        finally:
            cluster.end(GRACE_SECONDS.value)
        if stopped:
            sys.exit(128 + stopped[0])
        failed = {name: status for name, status in ended.items() if status}
        if not failed:
            return
        (name, status), *_ = failed.items()
        if restart < MAX_RESTARTS.value:
            logging.warning("%s ended with status %d; all start anew.", name, status)
    raise RuntimeError(
        f"{name} ended with status {status}, and --max_restarts={MAX_RESTARTS.value} "
        "is used up. Its last lines say why; the same command goes on."
    )


if __name__ == "__main__":
    run_program(main)
