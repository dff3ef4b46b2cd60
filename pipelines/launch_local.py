r"""A cluster of processes on this machine, for tests and laptops.

Examples:
  python -m pipelines.launch_local --workers=2 -- python -m pipelines.train \
      --config=pipelines/configs/synthetic_deepfm.py --workdir=runs/deepfm \
      --strategy=multi_worker_mirrored

  python -m pipelines.launch_local --workers=2 --ps=2 -- python -m pipelines.train \
      --config=pipelines/configs/synthetic_deepfm.py --workdir=runs/deepfm \
      --strategy=parameter_server

The command runs once a process, each with its own TF_CONFIG, as other launchers set it:
--workers that train, and with --ps as many parameter servers and a chief. Lines that a
process writes begin with its name. Where one dies, all are started anew and go on from
the last checkpoint, but beside parameter servers a worker alone; both up to
--max_restarts times. SIGTERM, Ctrl-C and the end of the terminal reach all of them,
which save and end. TensorFlow's servers listen at all addresses of the machine and ask
nobody for a password: start it where no stranger reaches the ports.
"""

import contextlib
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
PS = flags.DEFINE_integer("ps", 0, "Parameter servers; they add a chief.", 0)
MAX_RESTARTS = flags.DEFINE_integer(
    "max_restarts", 3, "How often all, or a worker, are started anew.", 0
)
GRACE_SECONDS = flags.DEFINE_float(
    "grace_seconds", 30.0, "What processes get to save and end.", 0.0
)
_POLL = 0.1  # seconds


class Cluster:
    """Processes of one command, which end together.

    Args:
        command: what each process runs.
        num_workers: int.
        num_servers: int. Parameter servers; where there are any, there is a chief.
    """

    def __init__(self, command: list[str], num_workers: int, num_servers: int):
        kinds = {"worker": num_workers}
        if num_servers:
            kinds |= {"ps": num_servers, "chief": 1}
        ports = free_ports(sum(kinds.values()))
        self._command = command
        self._addresses = {
            kind: [f"127.0.0.1:{ports.pop()}" for _ in range(count)]
            for kind, count in kinds.items()
        }
        self.has_chief = num_servers > 0
        self.processes: dict[str, subprocess.Popen] = {}
        self._readers: list[threading.Thread] = []
        for kind, count in kinds.items():
            for index in range(count):
                self.start(f"{kind} {index}")

    def start(self, name: str) -> None:
        """Starts a process, such as "worker 0"."""
        kind, index = name.split()
        task = {"type": kind, "index": int(index)}
        config = {"cluster": self._addresses, "task": task}
        process = subprocess.Popen(
            self._command,
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
        """Returns when all ended well, one did not, or a signal came: exit statuses.

        Where there is a chief, its end is that of all.
        """
        while True:
            ended = {
                name: status
                for name, process in self.processes.items()
                if (status := process.poll()) is not None
            }
            if self.has_chief and ended.get("chief 0") is not None:
                return {"chief 0": ended["chief 0"]}
            all_ended = len(ended) == len(self.processes)
            if any(ended.values()) or all_ended or stopped:
                return ended
            time.sleep(_POLL)

    def end(self, grace_seconds: float) -> None:
        """Asks all to save and end, and ends those that do not; a chief comes first."""
        chief = self.processes.get("chief 0")
        deadline = time.monotonic() + grace_seconds
        if chief is not None:
            _end([chief], deadline)
        _end([*self.processes.values()], deadline)
        for reader in self._readers:
            reader.join(5)


def _end(processes: list[subprocess.Popen], deadline: float) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _echo(name: str, process: subprocess.Popen) -> None:
    for line in process.stdout or ():
        text = line.decode(errors="replace").rstrip("\n")
        # A reader that left, as `head` does, must not stop who writes.
        with contextlib.suppress(OSError, ValueError):
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
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` has it
            signal.signal(number, lambda number, frame: stopped.append(number))
    restarts = MAX_RESTARTS.value
    while True:
        cluster = Cluster(command, WORKERS.value, PS.value)
        try:
            failed = run(cluster, stopped, restarts)
        finally:
            cluster.end(GRACE_SECONDS.value)
        if stopped:
            sys.exit(128 + stopped[0])
        if not failed:
            return
        name, status, restarts = failed
        if not restarts:
            raise RuntimeError(
                f"{name} ended with status {status}, and --max_restarts="
                f"{MAX_RESTARTS.value} is used up. Its last lines say why; the same "
                "command goes on."
            )
        restarts -= 1
        logging.warning("%s ended with status %d; all start anew.", name, status)


def run(
    cluster: Cluster, stopped: list[int], restarts: int
) -> tuple[str, int, int] | None:
    """Waits for the end, and starts lost workers of a chief again meanwhile.

    Args:
        cluster: `Cluster`.
        stopped: list that a signal handler fills.
        restarts: int. How many may be started again.

    Returns:
        Name and status of the process that all must be started anew for, and the
        restarts that are left; `None` at a good end or after a signal.
    """
    while True:
        ended = cluster.wait(stopped)
        failed = {name: status for name, status in ended.items() if status}
        if stopped or not failed:
            return None
        (name, status), *_ = failed.items()
        is_worker = all(name.startswith("worker") for name in failed)
        if not (cluster.has_chief and is_worker and restarts):
            return name, status, restarts
        restarts -= 1
        logging.warning("%s ended with status %d; it starts anew.", name, status)
        cluster.start(name)


if __name__ == "__main__":
    run_program(main)
