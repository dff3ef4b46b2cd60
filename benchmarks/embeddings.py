r"""Training of embedding-heavy models beside other libraries.

DLRM, DeepFM and DCN-V2 of one architecture on the Criteo form (26 categorical features
and 13 numbers), on the same seeded batches. Each library runs in a process and an
environment of its own; they take turns, `--repeats` rounds of them. A run that is in
the output already, with the same spec, versions and program, is not repeated.

  python benchmarks/peers/build_venvs.py
  python -m benchmarks.embeddings
"""

import itertools
import os
import tempfile
from pathlib import Path

from absl import app, flags

from benchmarks.hardware import hardware
from benchmarks.peers.embedding_data import make_batches, make_tfrecords
from benchmarks.peers.embedding_report import write_report
from benchmarks.peers.embedding_runs import Peer, RunFile, run_peer

PEERS = (
    "keras_recs",
    "torchrec",
    "stock_keras",
    "keras_rs",
    "deepctr",
    "torch_rechub",
    "fuxictr",
)
LARGE = 100_000_000  # rows from which one table serves all features
LARGE_PEERS = ("keras_recs", "torchrec")
DEFAULT_CELLS = (
    ("dlrm", 1_000),
    ("dlrm", 40_000),
    ("dlrm", 1_000_000),
    ("deepfm", 40_000),
    ("dcn_v2", 40_000),
    ("dlrm", LARGE),
)

PEER_NAMES = flags.DEFINE_list("peers", list(PEERS), "Libraries.")
MODELS = flags.DEFINE_list("models", [], "dlrm, deepfm, dcn_v2; none: the default set.")
ROWS = flags.DEFINE_list(
    "rows", [], "Rows a table; none: the default set. From 100,000,000 on one table."
)
BATCH = flags.DEFINE_integer("batch", 2048, "Examples a step.")
DIM = flags.DEFINE_integer("dim", 16, "Length of an embedding.")
INPUT = flags.DEFINE_list("input", ["memory"], "memory, tfrecord.")
REPEATS = flags.DEFINE_integer("repeats", 3, "Rounds.")
WARMUP = flags.DEFINE_integer("warmup", 10, "Steps before the clock starts.")
STEPS = flags.DEFINE_integer("steps", 60, "Timed steps, at most.")
SECONDS = flags.DEFINE_float("seconds", 20, "The timed part ends after them.")
TIMEOUT = flags.DEFINE_float("timeout", 300, "Seconds after which a run is ended.")
FOREIGN = flags.DEFINE_float(
    "foreign_cores", 0.25, "Cores that other programs may use during a run."
)
RETRIES = flags.DEFINE_integer("retries", 2, "Runs beside more than that are repeated.")
MEMORY_GB = flags.DEFINE_float("memory_gb", 12, "Resident memory that ends a run.")
SEED = flags.DEFINE_integer("seed", 0, "Seed of the data and the weights.")
OUTPUT = flags.DEFINE_string(
    "output", "benchmarks/results/embeddings.json", "JSON file; it is gone on with."
)
TABLE = flags.DEFINE_string("table", "benchmarks/embeddings.md", "Markdown, rewritten.")
PICTURE = flags.DEFINE_string("picture", "benchmarks/embeddings.png", "Rewritten.")
CACHE = flags.DEFINE_string(
    "cache_dir",
    str(Path(tempfile.gettempdir()) / "keras_recs_benchmarks"),
    "Folder of the generated data.",
)
VENVS = flags.DEFINE_string("venvs", ".venv-peers", "Folder of the environments.")
FRESH = flags.DEFINE_bool("fresh", False, "Forget earlier runs.")
REPORT_ONLY = flags.DEFINE_bool("report_only", False, "Only write table and picture.")


def make_specs() -> list[dict]:
    """The cells, in the order in which they are measured."""
    pairs = DEFAULT_CELLS
    if MODELS.value or ROWS.value:
        rows = [int(value) for value in ROWS.value] or [40_000]
        pairs = tuple(itertools.product(MODELS.value or ["dlrm"], rows))
    return [
        {
            "model": model,
            "rows": rows,
            "tables": 1 if rows >= LARGE else 26,
            "features": 26,
            "dim": DIM.value,
            "batch": BATCH.value,
            "mlp": [400, 400],
            "warmup": WARMUP.value,
            "steps": STEPS.value,
            "seconds": SECONDS.value,
            "input": source,
            "seed": SEED.value,
            "threads": 2,
        }
        for source in INPUT.value
        for model, rows in pairs
    ]


def find_peers() -> list[Peer]:
    """The libraries whose environments are there; says how to build the others."""
    peers = [Peer(name, Path(VENVS.value)) for name in PEER_NAMES.value]
    for peer in peers:
        if not peer.exists:
            print(
                f"{peer.name}: no environment in {peer.venv}, or an old one. Build it: "
                f"python benchmarks/peers/build_venvs.py --peers={peer.name}",
                flush=True,
            )
    return [peer for peer in peers if peer.exists]


def make_data(spec: dict) -> Path:
    """The batches of a cell."""
    source = make_batches(
        Path(CACHE.value),
        spec["rows"],
        spec["batch"],
        spec["warmup"] + spec["steps"],
        spec["seed"],
    )
    if spec["input"] == "tfrecord":
        return make_tfrecords(source, spec["rows"])
    return source


def limits() -> dict[str, float]:
    """What ends a run."""
    return {"timeout": TIMEOUT.value, "memory_gb": MEMORY_GB.value}


def least_disturbed(peer: Peer, spec: dict, data: Path) -> dict:
    """Runs a cell; again where other programs used too much of the machine."""
    best: dict = {}
    for _ in range(1 + RETRIES.value):
        run = run_peer(peer, spec, data, limits())
        if not best or run["foreign_cores"] < best["foreign_cores"]:
            best = run
        if run["status"] != "done" or run["foreign_cores"] <= FOREIGN.value:
            break
    return best


def measure(runs: RunFile, peers: list[Peer], spec: dict) -> None:
    """All rounds of one cell, library after library."""
    peers = [p for p in peers if spec["tables"] > 1 or p.name in LARGE_PEERS]
    runs.forget_stale(peers, spec, limits())
    for number in range(1, REPEATS.value + 1):
        for peer in peers:
            if runs.is_done(peer, spec, number):
                continue
            data = make_data(spec)
            run = least_disturbed(peer, spec, data)
            runs.add({**run, "round": number})
            result = run.get("result", {})
            text = f"{result.get('examples_per_s')} examples/s"
            if run["status"] != "done":
                text = f"{run['status']}: {run['why']}"
            print(
                f"{spec['model']} {spec['rows']:,} {spec['input']} round {number} "
                f"{peer.name}: {text}",
                flush=True,
            )


def make_header() -> dict:
    """Where and how the figures were measured."""
    return {
        **hardware(),
        "seed": SEED.value,
        "threads": 2,
        "memory_limit_gb": MEMORY_GB.value,
        "timeout_s": TIMEOUT.value,
        "load_average": round(os.getloadavg()[0], 2),
    }


def main(_) -> None:
    """Runs the benchmark."""
    unknown = set(PEER_NAMES.value) - set(PEERS)
    if unknown:
        raise app.UsageError(f"--peers must be among {', '.join(PEERS)}: {unknown}")
    header = None if REPORT_ONLY.value else make_header()
    runs = RunFile(Path(OUTPUT.value), header, fresh=FRESH.value)
    if not REPORT_ONLY.value:
        peers = find_peers()
        for spec in make_specs():
            measure(runs, peers, spec)
    write_report(runs, PEERS, Path(TABLE.value), Path(PICTURE.value))
    print(f"{OUTPUT.value}, {TABLE.value}, {PICTURE.value}")


if __name__ == "__main__":
    app.run(main)
