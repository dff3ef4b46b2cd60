r"""Kills a training run at random moments until it is through.

  python -m benchmarks.recovery.kills [--kills=100 --seed=0]

Half of the kills (SIGKILL) are of a DeepFM, half of a model that counts examples. Each
process is killed at a moment drawn uniformly from the seconds after its start, half of
them in the time that it takes to begin; checkpoints come every 7 steps, so that many
kills fall into one. At the end: whether each run came through, whether its weights and
the metrics of all epochs are those of a run that nobody killed, bit by bit, and how
often each example was trained.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.hardware import hardware
from benchmarks.recovery.killed_run import EPOCHS

KILLS = flags.DEFINE_integer("kills", 100, "How often, over both runs.", 2)
SEED = flags.DEFINE_integer("seed", 0, "Of the moments.")
OUTPUT = flags.DEFINE_string(
    "output", "benchmarks/results/recovery_kills.json", "JSON file."
)
LIMIT = 600  # seconds that a process that nobody kills may take


def start(kind: str, folder: Path) -> subprocess.Popen:
    """A process of the run."""
    command = [sys.executable, "-m", "benchmarks.recovery.killed_run"]
    return subprocess.Popen(
        [*command, kind, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def finish(kind: str, folder: Path) -> int:
    """Runs it to its end; exit status."""
    process = start(kind, folder)
    try:
        process.communicate(timeout=LIMIT)
    finally:
        process.kill()
        process.wait()
    return process.returncode


def killed(kind: str, folder: Path, kills: int, rng) -> dict:
    """Kills a run so often, and lets it come to its end."""
    before, during, finished = 0, 0, False
    checkpoints = folder / "run" / "checkpoints"
    unfinished = 0
    for number in range(kills):
        process = start(kind, folder)
        try:
            if rng.random() < 0.5:
                time.sleep(rng.uniform(0, 8))
                is_training = False
            else:
                process.stdout.readline()  # the first step
                time.sleep(rng.uniform(0, 0.5))
                is_training = True
            finished = process.poll() is not None
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        if finished:
            raise RuntimeError(
                f"The run was through after {number} kills, so it was too short."
            )
        during += is_training
        before += not is_training
        unfinished += bool(list(checkpoints.glob(".state-*.part")))
        print(f"{kind}: killed {number + 1} of {kills}", flush=True)
    return {
        "kills": kills,
        "kills_at_any_moment_after_the_start": before,
        "kills_after_the_first_step": during,
        "kills_that_left_a_checkpoint_unfinished": unfinished,
        "exit_status_of_the_last_process": finish(kind, folder),
    }


def compared(folder: Path, expected: Path) -> dict:
    """A run beside the one that nobody killed."""
    with np.load(folder / "weights.npz") as a, np.load(expected / "weights.npz") as b:
        same = all(np.array_equal(a[name], b[name]) for name in b.files)
    histories = [
        json.loads((path / "history.json").read_text()) for path in (folder, expected)
    ]
    return {
        "weights_bit_equal": same,
        "metrics_of_all_epochs_equal": histories[0] == histories[1],
    }


def main(_) -> None:
    """Runs the benchmark."""
    rng = np.random.default_rng(SEED.value)
    results = {
        **hardware(),
        "command": " ".join(["python -m benchmarks.recovery.kills", *sys.argv[1:]]),
        "seed": SEED.value,
    }
    with tempfile.TemporaryDirectory() as name:
        for kind in ("deepfm", "counting"):
            folder, expected = Path(name) / kind, Path(name) / f"{kind}-undisturbed"
            folder.mkdir()
            expected.mkdir()
            if finish(kind, expected):
                raise RuntimeError("The run that nobody kills failed.")
            result = killed(kind, folder, KILLS.value // 2, rng)
            result |= compared(folder, expected)
            if kind == "counting":
                counts = np.load(folder / "counts.npy") / EPOCHS[kind]
                result["times_an_example_was_trained_an_epoch"] = {
                    "least": float(counts.min()),
                    "most": float(counts.max()),
                }
            results[kind] = result
            Path(OUTPUT.value).write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)
