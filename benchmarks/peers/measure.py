"""The loop of a benchmark beside other libraries: its flags, cells, rounds, report.

A benchmark is a program with its own cells and defaults; see benchmarks/embeddings.py
and benchmarks/ranking.py.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags

from benchmarks.hardware import hardware
from benchmarks.peers.batches import make_batches, make_tfrecords
from benchmarks.peers.report import Form, write_report
from benchmarks.peers.runs import Peer, RunFile, run_peer

PEER_NAMES = flags.DEFINE_list("peers", [], "Libraries; none: all.")
MODELS = flags.DEFINE_list("models", [], "Models; none: the default set of cells.")
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
OUTPUT = flags.DEFINE_string("output", None, "JSON file; it is gone on with.")
TABLE = flags.DEFINE_string("table", None, "Markdown, rewritten.")
PICTURE = flags.DEFINE_string("picture", None, "Rewritten.")
CACHE = flags.DEFINE_string(
    "cache_dir",
    str(Path(tempfile.gettempdir()) / "keras_recs_benchmarks"),
    "Folder of the generated data.",
)
VENVS = flags.DEFINE_string("venvs", ".venv-peers", "Folder of the environments.")
FRESH = flags.DEFINE_bool("fresh", False, "Forget earlier runs.")
REPORT_ONLY = flags.DEFINE_bool("report_only", False, "Only write table and picture.")


def set_files(name: str) -> None:
    """The program's own output: `benchmarks/<name>.md`, its picture and its JSON."""
    flags.set_default(OUTPUT, f"benchmarks/results/{name}.json")
    flags.set_default(TABLE, f"benchmarks/{name}.md")
    flags.set_default(PICTURE, f"benchmarks/{name}.png")


def make_spec(model: str, rows: int, source: str, **others) -> dict:
    """A cell, by the flags; `others` are further fields of `peer_run.Spec`."""
    return {
        "model": model,
        "rows": rows,
        "tables": 26,
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
        **others,
    }


def find_peers(names: Sequence[str]) -> list[Peer]:
    """The libraries whose environments are there; says how to build the others."""
    peers = [Peer(name, Path(VENVS.value)) for name in names]
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
        spec.get("history", 0),
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


def check(flag: str, values: Sequence[str], known: Sequence[str]) -> None:
    """Ends the program where a flag names what is not known."""
    unknown = set(values) - set(known)
    if unknown:
        raise app.UsageError(f"--{flag} must be among {', '.join(known)}: {unknown}")


def run(
    form: Form, specs: Sequence[dict], peers_of: Callable[[dict], Sequence[str]]
) -> None:
    """Measures the cells and writes the report.

    Args:
        form: what the report looks like.
        specs: the cells, in the order in which they are measured.
        peers_of: function of a cell to the names of the libraries that run it.
    """
    check("peers", PEER_NAMES.value, form.peers)
    header = None if REPORT_ONLY.value else make_header()
    runs = RunFile(Path(OUTPUT.value), header, fresh=FRESH.value)
    if not REPORT_ONLY.value:
        peers = find_peers(PEER_NAMES.value or form.peers)
        for spec in specs:
            names = peers_of(spec)
            measure(runs, [peer for peer in peers if peer.name in names], spec)
    write_report(runs, form, Path(TABLE.value), Path(PICTURE.value))
    print(f"{OUTPUT.value}, {TABLE.value}, {PICTURE.value}")
