r"""Training steps of models of sequences beside plain PyTorch.

  python -m benchmarks.sequential.throughput
  KERAS_BACKEND=jax python -m benchmarks.sequential.throughput --device=gpu

Ours by `fit`, and the same models written in plain PyTorch
(scaled_dot_product_attention, nn.Embedding, fused Adam) by a plain loop, each in a
process of its own, on the same seeded batches of arrays with the shapes of two data
sets. On a CPU ours runs on TensorFlow as it is and, in one more process, with
TF_ENABLE_ONEDNN_OPTS=1, which TensorFlow sets by itself only for newer processors. They
take turns, `--rounds` of them of `--seconds` each; a ratio is that of the medians of a
step, PyTorch's by ours, and its range that of the rounds. Before that all take three
steps of plain gradient descent without dropout from the same weights: their losses must
agree, or the program ends. On a GPU both may use TF32 then.

The floor is what the matrix products of a step would take at the rate of one large one.
"""

import contextlib
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from absl import app, flags

from benchmarks.sequential.sides.cells import CELLS, multiplications

DEVICE = flags.DEFINE_enum("device", "cpu", ["cpu", "gpu"], "What both compute on.")
DTYPE = flags.DEFINE_enum(
    "dtype", "float32", ["float32", "bfloat16"], "What both compute in."
)
NAMES = flags.DEFINE_list(
    "cells", [], "Names in sides/cells.py; none: those that the JSON lacks."
)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each.", 1)
SECONDS = flags.DEFINE_float("seconds", 2.0, "Of a turn.")
TORCH = flags.DEFINE_string(
    "torch_python",
    None,
    "Interpreter with PyTorch: that of .venv-peers/torch_rechub, or on a GPU this one.",
)
OUTPUT = flags.DEFINE_string("output", "benchmarks/results", "Folder of the JSON.")
REPORT = flags.DEFINE_bool("report", False, "Only print the table.")
TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}


class Side:
    """A process that answers.

    Args:
        python: path of the interpreter.
        name: string. Of the module.
        *arguments: strings.
        **environment: variables of the process.
    """

    def __init__(self, python: str, name: str, *arguments: str, **environment: str):
        module = f"benchmarks.sequential.sides.{name}"
        self._process = subprocess.Popen(
            [python, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def ask(self, *command):
        """The answer to a command."""
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended at {command}")
        return json.loads(line)

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def measure(name: str, sides: dict[str, Side], rate: float) -> dict:
    """All rounds of a cell."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "weights.npz")
        losses = {key: side.ask("check", name, path) for key, side in sides.items()}
    for key, found in losses.items():
        pairs = zip(found, losses["torch"], strict=True)
        far = max(abs(a - b) / abs(b) for a, b in pairs)
        if far > TOLERANCE[DTYPE.value]:
            raise ValueError(f"{name}: losses of {key} are {far:.2g} off: {losses}")
    steps = {}
    for key, side in sides.items():
        side.ask("start", name)
        # The first steps compile.
        steps[key] = max(2, round(1e3 * SECONDS.value / side.ask("round", 3)))
    times: dict[str, list[float]] = {key: [] for key in sides}
    for number in range(ROUNDS.value):
        # Each is first, last and between others.
        keys = [*sides][number % len(sides) :] + [*sides][: number % len(sides)]
        for key in keys:
            times[key].append(round(sides[key].ask("round", steps[key]), 3))
    flops = 6 * multiplications(CELLS[name])
    return {
        "losses": losses,
        "steps": steps,
        "ms": times,
        "gflop": round(flops / 1e9, 2),
        "floor_ms": round(1e3 * flops / rate, 3),
    }


def table(value: dict) -> str:
    """Markdown."""
    rows = [
        "| cell | side | ms a step | PyTorch / ours | of the rounds | users a second |",
        "|---|---|---:|---:|---|---:|",
    ]
    for name, cell in value["cells"].items():
        for key, times in cell["ms"].items():
            median = statistics.median(times)
            ratios = [b / a for a, b in zip(times, cell["ms"]["torch"], strict=True)]
            ratio = statistics.median(cell["ms"]["torch"]) / median
            rows.append(
                f"| {name} | {key} | {median:.1f} | {ratio:.2f} | "
                f"{min(ratios):.2f}–{max(ratios):.2f} | "
                f"{1e3 * CELLS[name].batch / median:,.0f} |"
            )
        rows.append(f"| | matrix products alone | {cell['floor_ms']:.1f} | | | |")
    return "\n".join(rows)


def main(_) -> None:
    """Runs the benchmark, or prints what it found."""
    kind = f"{DEVICE.value}_{DTYPE.value}"
    output = Path(OUTPUT.value) / f"sequential_throughput_{kind}.json"
    if REPORT.value:
        print(table(json.loads(output.read_text(encoding="utf-8"))))
        return
    value = {"cells": {}}
    if output.exists():
        value = json.loads(output.read_text(encoding="utf-8"))
    names = NAMES.value or [name for name in CELLS if name not in value["cells"]]
    if unknown := sorted(set(names) - set(CELLS)):
        raise app.UsageError(f"--cells must be among {list(CELLS)}: {unknown}")
    peer = ".venv-peers/torch_rechub/bin/python" if DEVICE.value == "cpu" else None
    python = TORCH.value or peer or sys.executable
    device = "cpu" if DEVICE.value == "cpu" else "cuda"
    sides = {"keras_recs": Side(sys.executable, "side_keras", DTYPE.value)}
    if DEVICE.value == "cpu":
        sides["keras_recs, oneDNN"] = Side(
            sys.executable, "side_keras", DTYPE.value, TF_ENABLE_ONEDNN_OPTS="1"
        )
    sides["torch"] = Side(python, "side_torch", device, DTYPE.value)
    with contextlib.ExitStack() as stack:
        for side in sides.values():
            stack.enter_context(contextlib.closing(side))
        rate = sides["torch"].ask("floor")
        about = {
            **sides["torch"].ask("about"),
            **sides["keras_recs"].ask("about"),
            "gflop_per_s": round(rate / 1e9, 1),
            "rounds": ROUNDS.value,
            "seconds": SECONDS.value,
            "date": datetime.date.today().isoformat(),
        }
        output.parent.mkdir(parents=True, exist_ok=True)
        for name in names:
            value["cells"][name] = {**measure(name, sides, rate), **about}
            print(name, value["cells"][name]["ms"], flush=True)
            output.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    print(table(value))


if __name__ == "__main__":
    app.run(main)
