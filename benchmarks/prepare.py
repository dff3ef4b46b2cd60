r"""Speed and memory of `pipelines.prepare` on the Criteo form.

The first 10,000 rows of Criteo Kaggle, repeated: a label, 13 numbers, 26 hashed
categories, tab separated. Each program runs in processes of its own; the time is from
its start to its end, interpreter included, and the memory the greatest sum of the
resident sets of all its processes, sampled every 20 ms. Where other programs share the
machine, the CPU seconds of all processes tell more than the time.

  python -m benchmarks.prepare --data_dir=data --output=benchmarks/results/prepare.json
"""

import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags

from benchmarks.hardware import hardware
from keras_recs import CategoricalFeature, Label, NumericFeature, Schema

DATA_DIR = flags.DEFINE_string(
    "data_dir",
    os.environ.get("KERAS_RECS_DATA"),
    "Folder that holds criteo-sample/first10k.tsv.gz. Defaults to KERAS_RECS_DATA.",
)
ROWS = flags.DEFINE_list("rows", ["100000", "1000000"], "Sizes of the input.")
NUM_PROCESSES = flags.DEFINE_integer("num_processes", 2, "Worker processes.", 1)
OUTPUT = flags.DEFINE_string("output", "", "JSON file that is written.")

_COLUMNS = ["label", *(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 27))]
_PART = """
import sys
from keras_recs import Schema
from keras_recs.data.write_tfrecords import write_tfrecords
from keras_recs.preprocessing.fit import fit
from keras_recs.preprocessing.reading.raw_format import RawFormat
part, raw, schema, output, processes, *columns = sys.argv[1:]
options = {"raw_format": RawFormat(columns=columns), "num_processes": int(processes)}
if part == "fit":
    fit(Schema.load(schema), raw, output, **options)
else:
    write_tfrecords(raw, Schema.load(schema), output + "/train", **options)
"""


def criteo_schema() -> Schema:
    """Numbers after log1p and z-score, vocabularies of values seen twice."""
    numbers = [
        NumericFeature(f"I{i}", transform=("log1p", "zscore")) for i in range(1, 14)
    ]
    words = [CategoricalFeature(f"C{i}", min_count=2) for i in range(1, 27)]
    return Schema([*numbers, *words], [Label("label")])


def measure(command: list[str]) -> tuple[float, float, float]:
    """Runs a program; returns its seconds, CPU seconds and peak memory in MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    environment = {**os.environ, "KERAS_RECS_WITHOUT_KERAS": "1"}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident_bytes(process.pid))
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{process.stderr.read().decode()}")  # type: ignore[union-attr]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, peak / 1e6


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and all that it has started."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except (OSError, IndexError):  # it has ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(
        resident_bytes(int(child)) for child in children
    )


def measure_size(rows: int, sample: bytes, folder: Path) -> list[dict]:
    """Measures all programs on one size of the input."""
    raw, schema = folder / f"{rows}.tsv", folder / "schema.json"
    lines = sample.splitlines(keepends=True)
    with open(raw, "wb") as file:
        for start in range(0, rows, len(lines)):
            file.writelines(lines[: rows - start])
    criteo_schema().save(schema)
    processes = str(NUM_PROCESSES.value)
    part = [sys.executable, "-c", _PART]
    results = []
    for name in ("fit", "write", "prepare", "prepare, gzip"):
        output = folder / f"{name}-{rows}"
        if name.startswith("prepare"):
            command = [
                *(sys.executable, "-m", "pipelines.prepare", f"--input={raw}"),
                *(f"--schema={schema}", f"--output={output}", "--split=random"),
                *(f"--columns={','.join(_COLUMNS)}", f"--num_processes={processes}"),
                *(["--compression=GZIP"] if "gzip" in name else []),
                "--noprogress",
            ]
        else:
            arguments = [name, raw, schema, output, processes, *_COLUMNS]
            command = [*part, *map(str, arguments)]
        seconds, cpu, peak = measure(command)
        results.append(
            {
                "program": name,
                "rows": rows,
                "seconds": round(seconds, 2),
                "rows_per_second": round(rows / seconds),
                "cpu_seconds": round(cpu, 2),
                "peak_mb": round(peak),
                "output_mb": round(
                    sum(f.stat().st_size for f in output.rglob("*.tfrecord*")) / 1e6
                ),
            }
        )
    raw.unlink()
    return results


def main(_) -> None:
    """Runs the benchmark."""
    if not DATA_DIR.value:
        sys.exit("Say where criteo-sample/ is: --data_dir, or KERAS_RECS_DATA.")
    path = Path(DATA_DIR.value) / "criteo-sample" / "first10k.tsv.gz"
    if not path.exists():
        sys.exit(f"'{path}' is not there: check --data_dir.")
    sample = gzip.decompress(path.read_bytes())
    results = []
    for rows in map(int, ROWS.value):
        with tempfile.TemporaryDirectory() as folder:
            results += measure_size(rows, sample, Path(folder))
    print(
        "| program | rows | seconds | rows/s | CPU seconds | peak MB, all processes | "
        "output MB |"
    )
    print("|---|---|---|---|---|---|---|")
    for item in results:
        print(
            f"| {item['program']} | {item['rows']:,} | {item['seconds']} | "
            f"{item['rows_per_second']:,} | {item['cpu_seconds']} | "
            f"{item['peak_mb']} | {item['output_mb']} |"
        )
    report = {**hardware(), "num_processes": NUM_PROCESSES.value, "results": results}
    print(json.dumps(report, indent=2))
    if OUTPUT.value:
        Path(OUTPUT.value).parent.mkdir(parents=True, exist_ok=True)
        Path(OUTPUT.value).write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    app.run(main)
