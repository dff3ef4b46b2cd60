"""What every peer's program shares: the spec, the data, the clock, the last line.

Only numpy and the standard library are imported here, because the programs run in
environments of their own.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import resource
import statistics
import sys
import time
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

import numpy as np

NUM_NUMBERS = 13
LEARNING_RATE = 0.01
INITIAL_ACCUMULATOR = 0.1
CROSS_LAYERS = 3
CIN_UNITS = (128, 128)
FIELD_ATTENTION_LAYERS, FIELD_ATTENTION_HEADS = (
    3,
    2,
)  # heads of dim / 2, as torch-rechub
MASK_BLOCKS, MASK_UNITS, MASK_RATIO = 3, 128, 2
ATTENTION_UNITS = (80, 40)  # of a candidate to a history
TASKS = ("click", "like")  # of the models of several tasks
EXPERTS, EXPERT_UNITS = 8, (256, 128)  # of MMoE
LEVELS, OWN_EXPERTS, SHARED_EXPERTS, LEVEL_UNITS = 2, 2, 1, (128,)  # of PLE
TOWER_UNITS = (64,)  # of a task
MIN_WARMUP, MIN_STEPS = 3, 5  # also of steps that take long
SKIPPED = 3  # the exit code of a cell that a peer does not offer


@dataclasses.dataclass(frozen=True)
class Spec:
    """One cell of the benchmark.

    Args:
        model: name of a builder of keras_recs.
        rows: int. Rows of each table.
        data: path of the `.npz` with `ids`, `numbers` and `labels`, or, for
            `input="tfrecord"`, of the folder with the files.
        tables: int. As many as `features`, or 1 that all features share.
        features: int. Categorical features.
        numbers: int. Numeric features, at most 13.
        tasks: int. Labels, of which the second is 1 where the first is and the value of
            feature 0 is odd.
        history: int. Length of a history of the values of feature 0, whose table it
            shares; its row 0 is padding. 0: there is none.
        dim: int. Length of an embedding.
        batch: int. Examples a step.
        mlp: hidden widths of every MLP.
        warmup: int. Steps before the clock starts.
        steps: int. Timed steps, at most.
        seconds: float. The timed part ends after them, but not before five steps.
        input: `"memory"` or `"tfrecord"`.
        seed: int.
        threads: int. Threads of the framework.
    """

    model: str
    rows: int
    data: str
    tables: int = 26
    features: int = 26
    numbers: int = NUM_NUMBERS
    tasks: int = 1
    history: int = 0
    dim: int = 16
    batch: int = 2048
    mlp: tuple[int, ...] = (400, 400)
    warmup: int = 10
    steps: int = 60
    seconds: float = 20.0
    input: str = "memory"
    seed: int = 0
    threads: int = 2

    @property
    def width(self) -> int:
        """Flat width of the embeddings and the numbers."""
        return self.features * self.dim + self.numbers

    @property
    def pairs(self) -> int:
        """Dot products of DLRM: all fields and the numbers' vector."""
        return self.features * (self.features + 1) // 2


def read_spec(
    models: Collection[str] = ("dlrm", "deepfm", "dcn_v2"),
    inputs: tuple[str, ...] = ("memory",),
    shared_table: bool = False,
    why_not: Mapping[str, str] | None = None,
) -> Spec:
    """The spec of `--spec`; ends the program where the peer does not offer it.

    Args:
        models: what the peer offers.
        inputs: what it can read.
        shared_table: whether one table may serve all features.
        why_not: dict of model to the reason that it is not offered, where it takes more
            words than that the library has none.

    Returns:
        The `Spec`.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--spec", required=True, help="One cell as JSON.")
    values = json.loads(parser.parse_args().spec)
    spec = Spec(**{**values, "mlp": tuple(values.get("mlp", (400, 400)))})
    if spec.model not in models:
        reason = f"no {spec.model} among its models and layers"
        skip((why_not or {}).get(spec.model, reason))
    if spec.input not in inputs:
        skip(f"no {spec.input} input")
    if spec.tables != spec.features and not (shared_table and spec.tables == 1):
        skip(f"{spec.tables} tables for {spec.features} features are not built here")
    return spec


def load_batches(spec: Spec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids `(N, B, F)` int64, numbers `(N, B, n)` and labels `(N, B)` float32.

    Labels of several tasks are `(N, B, K)`.
    """
    with np.load(spec.data) as file:
        numbers = np.ascontiguousarray(file["numbers"][..., : spec.numbers])
        ids, labels = file["ids"], file["labels"]
    if spec.tasks > 1:
        second = labels * (ids[..., 0] % 2).astype(labels.dtype)
        labels = np.stack([labels, second], axis=-1)  # (N, B, K)
    return ids, numbers, labels


def load_histories(spec: Spec) -> dict[str, np.ndarray]:
    """What a model of histories reads beside the batches; nothing without histories.

    Returns:
        dict of `history` and `negatives`, `(N, B, T)` int64 that 0 pads on the right,
        and `lengths` `(N, B)` int64, of which none is 0.
    """
    if not spec.history:
        return {}
    with np.load(spec.data) as file:
        return {name: file[name] for name in ("history", "negatives", "lengths")}


def versions_of(*packages: str) -> dict[str, str]:
    """Versions of installed distributions."""
    return {name: importlib.metadata.version(name) for name in packages}


class Clock:
    """Times steps from one end to the next, so that waiting for input counts."""

    def __init__(self, spec: Spec):
        self._spec = spec
        self._begin = time.perf_counter()
        self._build: float | None = None
        self._first_step = 0.0
        self._warmup = 0
        self._times: list[float] = []
        self._losses: list[float] = []
        self._start = self._last = 0.0

    def built(self) -> None:
        """The model is there; the first step follows."""
        self._last = time.perf_counter()
        self._build = self._last - self._begin

    def tick(self, loss: float) -> bool:
        """Notes the end of a step; true when it was the last one."""
        now = time.perf_counter()
        took, self._last = now - self._last, now
        if self._start:
            self._times.append(took)
            self._losses.append(float(loss))
            count = len(self._times)
            late = now - self._start > self._spec.seconds and count >= MIN_STEPS
            return late or count >= self._spec.steps
        self._first_step = self._first_step or took
        self._warmup += 1
        slow = now - self._begin > self._build + self._spec.seconds
        if self._warmup >= self._spec.warmup or (slow and self._warmup >= MIN_WARMUP):
            self._start = now
        return False

    def report(self, **details: Any) -> None:
        """Prints the result as one line of JSON."""
        times = self._times
        few = max(1, min(10, len(times) // 2))
        result = {
            "examples_per_s": round(self._spec.batch / statistics.median(times), 1),
            "step_ms_median": round(1e3 * statistics.median(times), 3),
            "step_ms_min": round(1e3 * min(times), 3),
            "step_ms_max": round(1e3 * max(times), 3),
            "examples_per_s_mean": round(self._spec.batch * len(times) / sum(times), 1),
            "timed_steps": len(times),
            "build_s": round(self._build, 3),
            "first_step_s": round(self._first_step, 3),
            "peak_rss_mb": round(peak_megabytes(), 1),
            "loss_first": round(statistics.fmean(self._losses[:few]), 5),
            "loss_last": round(statistics.fmean(self._losses[-few:]), 5),
            **details,
        }
        print(json.dumps(result), flush=True)


def peak_megabytes() -> float:
    """Largest resident memory of this process.

    Linux hands `ru_maxrss` of the process that started this one down to it, so its own
    high-water mark is read where there is one.
    """
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


def skip(why: str) -> NoReturn:
    """Ends the program: the peer does not offer this cell."""
    print(json.dumps({"skipped": why}), flush=True)
    sys.exit(SKIPPED)
