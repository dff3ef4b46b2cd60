r"""Kills workers and parameter servers of one job, which the launcher starts again.

  python -m benchmarks.servers.kills [--kills=20 --seed=0]

Two workers and two parameter servers count how often each example is trained. So many
SIGKILLs fall on a worker, drawn at random, and as many on a parameter server, in random
order, each at a random moment within seconds after training was seen to go on. Then the
job ends with its epoch. What is measured: whether it comes to its end, how often each
example was trained beyond once an epoch, and how many steps each lost server took back.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.hardware import hardware
from benchmarks.servers.runs import (
    BATCH,
    CHECKPOINT_STEPS,
    ROWS,
    steps_of,
    tasks_of,
    write,
)

KILLS = flags.DEFINE_integer("kills", 20, "Of each kind.", 1)
SEED = flags.DEFINE_integer("seed", 0, "Of the order and the moments.")
OUTPUT = flags.DEFINE_string(
    "output", "benchmarks/results/server_kills.json", "JSON file."
)
LIMIT = 120  # seconds in which training must go on


def lines_of(path: Path) -> list[tuple[int, int]]:
    """Epochs and batches that the chief saw."""
    if not path.exists():
        return []
    rows = [line.split() for line in path.read_text("ascii").splitlines()]
    return [(int(row[0]), int(row[1])) for row in rows if len(row) == 2]


def wait_for_steps(path: Path, seen: int, launcher: subprocess.Popen) -> None:
    """Returns when the chief saw three more."""
    deadline = time.monotonic() + LIMIT
    while len(lines_of(path)) < seen + 3:
        if launcher.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("The job does not go on; see its output.")
        time.sleep(0.05)


def killed(folder: Path, rng) -> dict:
    """Runs the job with all kills."""
    steps, per_epoch = folder / "steps.txt", steps_of("counting", folder, 2)
    command = [sys.executable, "-m", "pipelines.launch_local", "--workers=2", "--ps=2"]
    command += ["--max_restarts=1000", "--grace_seconds=5", "--", "python", "-m"]
    command += ["benchmarks.servers.runs", "counting", str(folder), "parameter_server"]
    output = open(folder / "output.txt", "w", encoding="utf-8")  # noqa: SIM115
    launcher = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    taken_back = []
    try:
        wait_for_steps(steps, 0, launcher)
        victims = rng.permutation(["worker"] * KILLS.value + ["ps"] * KILLS.value)
        for kind in victims:
            time.sleep(rng.uniform(0, 4))
            before = lines_of(steps)
            os.kill(tasks_of(launcher.pid)[f"{kind} {rng.integers(2)}"], signal.SIGKILL)
            seen = len(lines_of(steps))
            if kind == "worker":
                wait_for_steps(steps, seen, launcher)
                continue
            # Those that the chief still saw before it noticed count too.
            wait_for_steps(steps, seen, launcher)
            place = [epoch * per_epoch + batch for epoch, batch in lines_of(steps)]
            falls = [a - b for a, b in itertools.pairwise(place) if b <= a]
            taken_back.append(max(0, falls[-1] + 1) if falls else 0)
            print(f"{len(taken_back)} servers lost, at step {before[-1]}", flush=True)
            with open(steps, "w", encoding="ascii"):  # falls are of this one
                pass
        (folder / "enough").touch()
        launcher.wait(600)
    finally:
        launcher.send_signal(signal.SIGTERM)
        launcher.wait(60)
        output.close()
    return {"exit_status": launcher.returncode, "steps_taken_back": taken_back}


def main(_) -> None:
    """Runs the benchmark."""
    rng = np.random.default_rng(SEED.value)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write("counting", folder)
        result = killed(folder, rng)
        done = json.loads((folder / "result.json").read_text())
        epochs = len(done["history"]["loss"])
        more = np.load(folder / "counts.npy") - epochs
        result |= {
            "epochs": epochs,
            "iterations": done["iterations"],
            "scheduled_steps": epochs * steps_of("counting", folder, 2),
            "examples": ROWS["counting"],
            "batch_size": BATCH["counting"],
            "checkpoint_steps": CHECKPOINT_STEPS,
            "least_times_beyond_once_an_epoch": float(more.min()),
            "trainings_beyond_once_an_epoch": float(more[more > 0].sum()),
            "trainings_missing": float(-more[more < 0].sum()),
        }
    results = {
        **hardware(),
        "command": " ".join(["python -m benchmarks.servers.kills", *sys.argv[1:]]),
        "seed": SEED.value,
        "kills_of_a_worker": KILLS.value,
        "kills_of_a_server": KILLS.value,
        **result,
    }
    Path(OUTPUT.value).write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)
