r"""`catalogue_top_k` and `catalogue_ranks` beside bare operations on the same scores.

The floor is what a program must do that holds no more than a chunk of the scores: for
each chunk the matrix product and TensorFlow's `top_k`, each once, without the joining
of what the chunks gave. It is measured at several sizes of chunks, and the fastest
counts. Products alone are there too, TensorFlow's and NumPy's. All take turns on the
first `--part` users; speeds are millions of scores a second. Then all users are done
once, in a process of their own, whose peak is that of the whole process with
TensorFlow, the embeddings and the result.

  python -m benchmarks.catalogue --output=benchmarks/results/catalogue.json
  python -m benchmarks.catalogue --users=500 --items=100000 --part=500
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.hardware import hardware

USERS = flags.DEFINE_integer("users", 10_000, "Users.")
ITEMS = flags.DEFINE_integer("items", 1_000_000, "Items of the catalogue.")
DIM = flags.DEFINE_integer("dim", 64, "Length of an embedding.")
K = flags.DEFINE_integer("k", 100, "Items of a list.")
SEEN = flags.DEFINE_integer("seen", 50, "Excluded items of each user.")
PART = flags.DEFINE_integer("part", 1_024, "Users of a round.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds of each, in turn.")
SEED = flags.DEFINE_integer("seed", 0, "Of the embeddings.")
ALONE = flags.DEFINE_bool("alone", False, "Do all users once, and nothing else.")
OUTPUT = flags.DEFINE_string("output", "", "JSON file that is written.")
CHUNKS = ((512, 8_192), (1_024, 16_384), (64, 1_048_576))
BACKEND = "tensorflow"


def make_data():
    """Users, items, targets and the items that users have seen."""
    from keras_recs.evaluation import ItemLists

    rng = np.random.default_rng(SEED.value)
    queries, items = (
        rng.standard_normal((size, DIM.value), "float32")
        for size in (USERS.value, ITEMS.value)
    )
    targets = rng.integers(ITEMS.value, size=USERS.value)
    seen = rng.integers(ITEMS.value, size=USERS.value * SEEN.value)
    offsets = np.arange(USERS.value + 1) * SEEN.value
    return queries, items, targets, ItemLists(seen, offsets)


def peak_megabytes() -> float:
    """Of this process; `ru_maxrss` would begin with that of the parent process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return round(int(peak) / 1024)


def in_chunks(queries, items, rows, columns, work) -> None:
    """Calls `work` with the queries and items of each chunk."""
    for first in range(0, len(queries), rows):
        for start in range(0, len(items), columns):
            work(queries[first : first + rows], items[start : start + columns])


def contestants(queries, items, targets, seen):
    """What takes turns, by name."""
    import tensorflow as tf

    from keras_recs.evaluation import catalogue_ranks, catalogue_top_k

    def product_and_top_k(a, b):
        scores = tf.matmul(a, b, transpose_b=True)
        return tf.math.top_k(scores, min(K.value, len(b)))

    def product(a, b):
        return tf.matmul(a, b, transpose_b=True)

    buffer = np.empty(max(rows * columns for rows, columns in CHUNKS), "float32")

    def numpy_product(a, b):
        out = buffer[: len(a) * len(b)].reshape(len(a), len(b))
        return np.matmul(a, b.T, out=out)

    found = {
        "catalogue_top_k": lambda: catalogue_top_k(
            queries, items, K.value, excluded=seen
        ),
        "catalogue_ranks": lambda: catalogue_ranks(
            queries, items, targets, excluded=seen
        ),
    }
    for chunk in CHUNKS:
        name = "x".join(map(str, chunk))
        for kind, work in (
            ("floor", product_and_top_k),
            ("tensorflow_product", product),
            ("numpy_product", numpy_product),
        ):
            found[f"{kind}_{name}"] = lambda chunk=chunk, work=work: in_chunks(
                queries, items, *chunk, work
            )
    return found


def alone() -> dict:
    """All users, once."""
    import keras

    from keras_recs.evaluation import catalogue_top_k

    if keras.backend.backend() != BACKEND:
        raise app.UsageError(f"The goal is about Keras on {BACKEND}.")
    queries, items, _, seen = make_data()
    before = peak_megabytes()
    start = time.perf_counter()
    ids, _ = catalogue_top_k(queries, items, K.value, excluded=seen)
    seconds = time.perf_counter() - start
    for user in range(0, USERS.value, max(USERS.value // 20, 1)):
        scores = items @ queries[user]
        scores[seen[user]] = -np.inf
        worst = np.partition(scores, -K.value)[-K.value]
        if not (scores[ids[user]] >= worst - 1e-4).all():
            raise RuntimeError(f"The list of user {user} is not that of a full sort.")
    return {
        "seconds": round(seconds, 1),
        "million_scores_per_second": round(USERS.value * ITEMS.value / seconds / 1e6),
        "peak_mb": peak_megabytes(),
        "peak_mb_before": before,
    }


def main(_) -> None:
    """Runs the benchmark."""
    if ALONE.value:
        print(json.dumps(alone()))
        return
    machine = hardware()
    queries, items, targets, seen = make_data()
    part = min(PART.value, USERS.value)
    functions = contestants(queries[:part], items, targets[:part], seen.part(0, part))
    times: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(ROUNDS.value):
        for name in sorted(functions, reverse=number % 2 == 1):
            start = time.perf_counter()
            functions[name]()
            times[name].append(time.perf_counter() - start)
    speeds = {
        name: round(part * ITEMS.value / statistics.median(values) / 1e6)
        for name, values in times.items()
    }

    def fastest(kind):
        return max(speed for name, speed in speeds.items() if name.startswith(kind))

    command = [sys.executable, "-m", "benchmarks.catalogue", *sys.argv[1:], "--alone"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result = {
        **machine,
        "seed": SEED.value,
        "users": USERS.value,
        "items": ITEMS.value,
        "dim": DIM.value,
        "k": K.value,
        "million_scores_per_second": speeds,
        "seconds": {n: [round(t, 2) for t in values] for n, values in times.items()},
        "top_k_of_floor": round(speeds["catalogue_top_k"] / fastest("floor"), 2),
        "top_k_of_product": round(
            speeds["catalogue_top_k"] / fastest("numpy_product"), 2
        ),
        "ranks_of_product": round(
            speeds["catalogue_ranks"] / fastest("numpy_product"), 2
        ),
        "all_users": json.loads(done.stdout.splitlines()[-1]),
    }
    print(json.dumps(result, indent=2))
    if OUTPUT.value:
        Path(OUTPUT.value).parent.mkdir(parents=True, exist_ok=True)
        Path(OUTPUT.value).write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    app.run(main)
