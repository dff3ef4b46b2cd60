r"""Where one training step goes, beside the floor of what must be done.

TensorFlow's profiler times every operation of some steps; operations are put into a few
groups by their name in the graph. The floor is the step's floating-point operations at
the speed of one large matrix product, and its rows at the speed of a bare gather, both
measured here. `memory` compares what training needs with the size of the tables.

  python -m benchmarks.embedding_profile --rows=1000000
  python -m benchmarks.embedding_profile --rows=40000 --model=deepfm
"""

import collections
import glob
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.hardware import hardware
from benchmarks.peers.batches import make_batches

MODEL = flags.DEFINE_enum(
    "model",
    "dlrm",
    ["dlrm", "deepfm", "dcn_v2", "logistic_regression", "mmoe", "ple"],
    "Model.",
)
ROWS = flags.DEFINE_integer("rows", 1_000_000, "Rows a table.")
BATCH = flags.DEFINE_integer("batch", 2048, "Examples a step.")
STEPS = flags.DEFINE_integer("steps", 30, "Profiled steps.")
WARMUP = flags.DEFINE_integer("warmup", 10, "Steps before.")
TOP = flags.DEFINE_integer("top", 25, "Operations that are listed.")
OUTPUT = flags.DEFINE_string("output", None, "JSON file.")
SEED = flags.DEFINE_integer("seed", 0, "Seed of the data.")

FEATURES, DIM, NUMBERS, MLP = 26, 16, 13, (400, 400)
SEVERAL_TASKS = ("mmoe", "ple")  # without numbers
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


def towers() -> tuple[list[list[int]], int]:
    """Widths of the MLPs, and the other multiplications of one example, forward."""
    if MODEL.value == "logistic_regression":
        return [], 0
    if MODEL.value == "dlrm":
        pairs = FEATURES * (FEATURES + 1) // 2
        dots = (FEATURES + 1) ** 2 * DIM
        return [[NUMBERS, *MLP, DIM], [DIM + pairs, *MLP, 1]], dots
    if MODEL.value in SEVERAL_TASKS:
        return _experts_and_towers(), 0
    if MODEL.value == "deepfm":
        return [[(FEATURES + NUMBERS) * DIM, *MLP, 1]], 0
    width = FEATURES * DIM + NUMBERS
    return [[width, *MLP], [width + MLP[-1], 1]], 3 * width**2


def _experts_and_towers() -> list[list[int]]:
    """Of `benchmarks/multitask/throughput.py`."""
    import peer_run

    width, tasks = FEATURES * DIM, len(peer_run.TASKS)
    if MODEL.value == "mmoe":
        last, gates = peer_run.EXPERT_UNITS[-1], [[width, peer_run.EXPERTS]] * tasks
        parts = [[width, *peer_run.EXPERT_UNITS]] * peer_run.EXPERTS + gates
    else:
        own, shared = peer_run.OWN_EXPERTS, peer_run.SHARED_EXPERTS
        count, parts = tasks * own + shared, []
        for level in range(peer_run.LEVELS):
            parts += [[width, *peer_run.LEVEL_UNITS]] * count
            parts += [[width, own + shared]] * tasks
            if level < peer_run.LEVELS - 1:
                parts.append([width, count])
            width = last = peer_run.LEVEL_UNITS[-1]
    return parts + [[last, *peer_run.TOWER_UNITS, 1]] * tasks


def towers_alone() -> float:
    """Seconds of a training step of the MLPs by themselves, on random numbers."""
    import keras
    import tensorflow as tf

    import keras_recs

    inputs, outputs, values, targets = {}, {}, {}, {}
    for i, (first, *hidden, last) in enumerate(towers()[0]):
        x = inputs[f"x{i}"] = keras.Input((first,))
        x = keras_recs.layers.MLP(hidden)(x) if hidden else x
        outputs[f"y{i}"] = keras.layers.Dense(last)(x)
        values[f"x{i}"] = tf.random.normal((BATCH.value, first))
        targets[f"y{i}"] = tf.random.normal((BATCH.value, last))
    model = keras.Model(inputs, outputs)
    optimizer = keras_recs.optimizers.RowwiseAdagrad()
    model.compile(optimizer, dict.fromkeys(outputs, "mse"), jit_compile=False)
    step = model.make_train_function() or model.train_function
    batches = iter(tf.data.Dataset.from_tensors((values, targets)).repeat())
    times = []
    for _ in range(WARMUP.value + 3 * STEPS.value):
        start = time.perf_counter()
        step(batches)
        times.append(time.perf_counter() - start)
    return statistics.median(times[WARMUP.value :])


def floor() -> dict:
    """Operations and bytes of a step, and what they take at best on this machine."""
    import tensorflow as tf

    widths, products = towers()
    products += sum(a * b for part in widths for a, b in itertools.pairwise(part))
    # Forward once, backward twice; DLRM's first layer needs no gradient of its input.
    flops = 2 * BATCH.value * 3 * products
    if MODEL.value == "dlrm":
        flops -= 2 * BATCH.value * NUMBERS * MLP[0]
    x = tf.random.normal((2048, 2048))
    product = _fastest(lambda: tf.matmul(x, x))
    lookups = BATCH.value * FEATURES
    table = tf.Variable(tf.zeros((FEATURES * ROWS.value, DIM)))
    rng = np.random.default_rng(SEED.value)
    slots = tf.Variable(tf.zeros(FEATURES * ROWS.value))
    times: dict[str, list[float]] = {"gather": [], "update": []}
    for _ in range(20):  # other rows each time, so that none is in the cache
        rows = rng.integers(0, FEATURES * ROWS.value, lookups)
        rows = tf.constant(rows, tf.int32)
        start = time.perf_counter()
        _gather(table, rows)
        middle = time.perf_counter()
        for part in (table, slots):
            tf.raw_ops.ResourceScatterUpdate(
                resource=part.handle, indices=rows, updates=_gather(part, rows)
            )
        times["gather"].append(middle - start)
        times["update"].append(time.perf_counter() - middle)
    return {
        "gflop": flops / 1e9,
        "gflop_per_s_of_a_matmul": 2 * 2048**3 / product / 1e9,
        "ms_of_a_step_of_the_mlps_alone": towers_alone() * 1e3 if widths else 0.0,
        "ms_of_the_products": flops / (2 * 2048**3) * product * 1e3,
        # Looked up once; for the update row and accumulator are read and written.
        "row_megabytes": lookups * (DIM * 4 * 3 + 2 * 4) / 1e6,
        "ms_of_a_bare_lookup": statistics.median(times["gather"]) * 1e3,
        "ms_of_a_bare_update": statistics.median(times["update"]) * 1e3,
    }


def _gather(variable, rows):
    import tensorflow as tf

    return tf.raw_ops.ResourceGather(
        resource=variable.handle, indices=rows, dtype=tf.float32
    )


def _fastest(run) -> float:
    times = []
    for _ in range(10):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def resident_megabytes() -> float:
    """Memory of this process now (Linux)."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("VmRSS is missing in /proc/self/status")


def slots_of(optimizer, variable) -> list:
    """What the optimizer keeps beside a variable."""
    name = variable.path.replace("/", "_")
    return [slot for slot in optimizer.variables if slot.name.startswith(f"{name}_")]


def megabytes(variable) -> float:
    """Size of a float32 variable."""
    return 4 * float(np.prod(variable.shape)) / 1e6


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
        model=MODEL.value,
        rows=ROWS.value,
        tables=FEATURES,
        features=FEATURES,
        numbers=0 if MODEL.value in SEVERAL_TASKS else NUMBERS,
        tasks=2 if MODEL.value in SEVERAL_TASKS else 1,
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
    dataset = peer_keras.memory_dataset(spec, "click", run_keras_recs.FIRST_ROW)
    before = resident_megabytes()
    model = run_keras_recs.build(spec, run_keras_recs.make_schema(spec))
    groups, operations, wall = profile(model, dataset)
    trained = resident_megabytes()
    tables = [v for v in model.trainable_variables if getattr(v, "is_table", False)]
    slots = [s for v in tables for s in slots_of(model.optimizer, v)]
    table_mb, slot_mb = (sum(map(megabytes, part)) for part in (tables, slots))
    result = {
        **hardware(),
        "model": MODEL.value,
        "rows": ROWS.value,
        "batch": BATCH.value,
        "step_ms": round(wall, 2),
        "memory": {
            "tables_mb": round(table_mb, 1),
            "slots_of_the_optimizer_mb": round(slot_mb, 1),
            "tables_and_slots_over_tables": round((table_mb + slot_mb) / table_mb, 4),
            "resident_growth_mb": round(trained - before, 1),
        },
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
