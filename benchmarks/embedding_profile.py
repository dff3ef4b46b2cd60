r"""Where one training step of DLRM goes, beside the floor of what must be done.

TensorFlow's profiler times every operation of some steps; operations are put into a few
groups by their name in the graph. The floor is the step's floating-point operations at
the speed of one large matrix product, and its rows at the speed of a bare gather, both
measured here.

  python -m benchmarks.embedding_profile --rows=1000000
"""

import collections
import glob
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.hardware import hardware
from benchmarks.peers.embedding_data import make_batches

ROWS = flags.DEFINE_integer("rows", 1_000_000, "Rows a table.")
BATCH = flags.DEFINE_integer("batch", 2048, "Examples a step.")
STEPS = flags.DEFINE_integer("steps", 30, "Profiled steps.")
WARMUP = flags.DEFINE_integer("warmup", 10, "Steps before.")
TOP = flags.DEFINE_integer("top", 25, "Operations that are listed.")
OUTPUT = flags.DEFINE_string("output", None, "JSON file.")
SEED = flags.DEFINE_integer("seed", 0, "Seed of the data.")

FEATURES, DIM, NUMBERS, MLP = 26, 16, 13, (400, 400)
XLA = "CpuExecutable::ExecuteAsyncOnStream"  # here only the dot products
MATMUL = ("MatMul", "_FusedMatMul", "_MklMatMul", "_MklNativeMatMul", "BatchMatMulV2")


def group_of(name: str, kind: str) -> str:
    """What an operation is for, by its name in the graph and its type."""
    if kind in ("Unique", "UnsortedSegmentSum") or "UnsortedSegmentSum" in name:
        return "sum the gradients of a row"
    if kind in ("ResourceScatterUpdate", "ResourceScatterSub", "ResourceScatterAdd"):
        return "write rows"
    if kind == "ResourceGather":
        return "read rows for the update" if "rowwise" in name else "look up"
    if f"{name}:{kind}" == XLA:
        return "dot products"
    if kind in MATMUL or "MatMul" in kind:
        return "matrix products"
    if "embedding" in name:
        return "around the lookup"
    if "rowwise" in name or kind.startswith(("ResourceApply", "Assign")):
        return "arithmetic of the optimizer"
    return "the rest"


def profile(model, dataset) -> tuple[collections.Counter, collections.Counter, float]:
    """Milliseconds a step by group and by operation, and of the step."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    step = model.make_train_function() or model.train_function
    batches = iter(dataset)
    for _ in range(WARMUP.value):
        step(batches)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        for _ in range(STEPS.value):
            step(batches)
        wall = (time.perf_counter() - start) / STEPS.value * 1e3
        tf.profiler.experimental.start(folder)
        for _ in range(STEPS.value):
            step(batches)
        tf.profiler.experimental.stop()
        (path,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
        space = xplane_pb2.XSpace()
        space.ParseFromString(Path(path).read_bytes())
    groups, operations = collections.Counter(), collections.Counter()
    for plane in space.planes:
        if plane.name != "/host:CPU":
            continue
        names = {key: value.name for key, value in plane.event_metadata.items()}
        for line in plane.lines:
            # An operation is "name:type"; the executor's own events are left out.
            events = [
                event
                for event in line.events
                if names[event.metadata_id] == XLA
                or ":" in names[event.metadata_id].replace("::", "")
            ]
            for event, own in _own_times(events):
                name, _, kind = names[event.metadata_id].rpartition(":")
                if name == "EagerLocalExecute":
                    continue  # waits for the step
                spent = own / 1e9 / STEPS.value
                groups[group_of(name, kind)] += spent
                operations[f"{kind} {name}"] += spent
    return groups, operations, wall


def _own_times(events):
    """Each event with the picoseconds that no event inside it took."""
    ordered = sorted(events, key=lambda e: (e.offset_ps, -e.duration_ps))
    own = [event.duration_ps for event in ordered]
    stack: list[int] = []
    for number, event in enumerate(ordered):
        while stack and _end(ordered[stack[-1]]) <= event.offset_ps:
            stack.pop()
        if stack:
            own[stack[-1]] -= event.duration_ps
        stack.append(number)
    return zip(ordered, own)


def _end(event):
    return event.offset_ps + event.duration_ps


def floor() -> dict:
    """Operations and bytes of a step, and what they take at best on this machine."""
    import tensorflow as tf

    widths = [NUMBERS, *MLP, DIM], [DIM + FEATURES * (FEATURES + 1) // 2, *MLP, 1]
    weights = sum(a * b for part in widths for a, b in itertools.pairwise(part))
    dots = (FEATURES + 1) ** 2 * DIM
    # Forward once, backward twice; the first layer needs no gradient of its input.
    flops = 2 * BATCH.value * (3 * (weights + dots) - NUMBERS * MLP[0])
    x = tf.random.normal((2048, 2048))
    product = _fastest(lambda: tf.matmul(x, x))
    lookups = BATCH.value * FEATURES
    table = tf.Variable(tf.zeros((FEATURES * ROWS.value, DIM)))
    rng = np.random.default_rng(SEED.value)
    rows = tf.constant(rng.integers(0, FEATURES * ROWS.value, lookups), tf.int32)
    other = tf.constant(rng.integers(0, FEATURES * ROWS.value, lookups), tf.int32)

    def gather():
        # Other rows first, so that these are not in the cache.
        tf.raw_ops.ResourceGather(
            resource=table.handle, indices=other, dtype=tf.float32
        )
        start = time.perf_counter()
        tf.raw_ops.ResourceGather(resource=table.handle, indices=rows, dtype=tf.float32)
        return time.perf_counter() - start

    gather_s = min(gather() for _ in range(20))
    return {
        "gflop": flops / 1e9,
        "gflop_per_s_of_a_matmul": 2 * 2048**3 / product / 1e9,
        "ms_of_the_products": flops / (2 * 2048**3) * product * 1e3,
        # Looked up once; for the update row and accumulator are read and written.
        "row_megabytes": lookups * (DIM * 4 * 3 + 2 * 4) / 1e6,
        "ms_of_one_gather_of_all_rows": gather_s * 1e3,
    }


def _fastest(run) -> float:
    times = []
    for _ in range(10):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main(_) -> None:
    """Profiles and prints."""
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    import peer_keras
    import run_keras_recs
    from peer_run import Spec

    data = make_batches(
        Path(tempfile.gettempdir()) / "keras_recs_benchmarks",
        ROWS.value,
        BATCH.value,
        70,
        SEED.value,
    )
    spec = Spec(
        model="dlrm",
        rows=ROWS.value,
        tables=FEATURES,
        features=FEATURES,
        dim=DIM,
        batch=BATCH.value,
        mlp=MLP,
        warmup=WARMUP.value,
        steps=STEPS.value,
        seconds=60,
        input="memory",
        seed=SEED.value,
        threads=2,
        data=str(data),
    )
    peer_keras.start(spec)
    model = run_keras_recs.build(spec, run_keras_recs.make_schema(spec))
    dataset = peer_keras.memory_dataset(spec, "click", run_keras_recs.FIRST_ROW)
    groups, operations, wall = profile(model, dataset)
    result = {
        **hardware(),
        "rows": ROWS.value,
        "batch": BATCH.value,
        "step_ms": round(wall, 2),
        "core_ms": round(sum(groups.values()), 2),
        "core_ms_by_group": {k: round(v, 2) for k, v in groups.most_common()},
        "core_ms_by_operation": {
            k: round(v, 3) for k, v in operations.most_common(TOP.value)
        },
        "floor": {k: round(v, 2) for k, v in floor().items()},
    }
    text = json.dumps(result, indent=1)
    print(text)
    if OUTPUT.value:
        Path(OUTPUT.value).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
