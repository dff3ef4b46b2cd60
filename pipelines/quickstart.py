r"""The whole road on one machine: raw logs to predictions over REST and gRPC.

Examples:
  python -m pipelines.quickstart
  python -m pipelines.quickstart --data=ml-100k --data_dir=path/to/ml-100k

Every step is one of the programs a user would run; the commands are printed.
"""

import contextlib
import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from absl import flags

from pipelines.ask_server import ask_server
from pipelines.run_program import run_program

DATA = flags.DEFINE_enum("data", "synthetic", ["synthetic", "ml-100k"], "Which log.")
DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "Folder with MovieLens 100K; downloaded where it is empty."
)
DIRECTORY = flags.DEFINE_string("directory", "quickstart", "Where everything goes.")
ROWS = flags.DEFINE_integer("rows", 100_000, "Rows of the synthetic log.", 1000)
SEED = flags.DEFINE_integer("seed", 0, "Seed of the synthetic log.")
BASELINE = "logistic_regression"
TIMINGS: dict[str, float] = {}


@contextlib.contextmanager
def stage(name: str):
    """Prints a heading and takes the time of a step."""
    print(f"\n=== {name} ===", flush=True)
    start = time.monotonic()
    yield
    TIMINGS[name] = time.monotonic() - start


def run(*arguments: str) -> None:
    """Runs a program of the library, showing the command."""
    command = [sys.executable, "-m", *arguments]
    print("$ python " + shlex.join(command[1:]), flush=True)
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        for line in process.stderr:  # without TensorFlow's greetings
            if not re.match(rb"[IWE]0000 |WARNING: All log messages", line):
                sys.stderr.buffer.write(line)
                sys.stderr.flush()
    if process.returncode:
        sys.exit(f"This step failed with exit status {process.returncode}.")


def write_log(raw: Path):
    """Writes the raw log and returns its unfitted schema."""
    import keras_recs
    from pipelines.movielens import download_ml_100k, ml_100k_clicks

    if DATA.value == "synthetic":
        return keras_recs.data.synthetic_clicks(raw, ROWS.value, SEED.value)
    folder = DATA_DIR.value or download_ml_100k(raw.parent / "download")
    return ml_100k_clicks(folder, raw)


def best_possible_auc(raw: Path, rows: int) -> float:
    """AUC of the true probabilities on the last rows of the synthetic log."""
    from keras_recs import metrics

    with open(raw, newline="", encoding="utf-8") as file:
        log = list(csv.DictReader(file))[-rows:]
    clicks = [int(row["click"]) for row in log]
    return metrics.auc(clicks, [float(row["true_probability"]) for row in log])


def print_table(directory: Path, raw: Path) -> None:
    """Prints the test metrics of both models, and what can be reached."""
    print(f"\n{'model':<24}{'AUC':>9}{'GAUC':>9}{'log loss':>10}{'calibration':>13}")
    for name in (BASELINE, "deepfm"):
        stored = json.loads((directory / f"run_{name}" / "metrics.json").read_text())
        m = stored["test"]["click"]
        print(
            f"{name:<24}{m['auc']:>9.4f}{m['gauc']:>9.4f}{m['log_loss']:>10.4f}"
            f"{m['calibration_ratio']:>13.3f}"
        )
    if DATA.value == "synthetic":
        best = best_possible_auc(raw, m["examples"])
        print(f"{'(the best possible)':<24}{best:>9.4f}")


def main(_) -> None:
    """Runs the program."""
    directory = Path(DIRECTORY.value) / DATA.value
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    raw, prepared = directory / "clicks.csv", directory / "prepared"
    with stage("raw log"):
        schema = write_log(raw)
        schema.save(directory / "schema.json")
        print(f"{raw}: {raw.stat().st_size / 1e6:.1f} MB")
    with stage("prepare"):
        run(
            "pipelines.prepare",
            f"--input={raw}",
            f"--schema={directory / 'schema.json'}",
            f"--output={prepared}",
            "--split=time",
        )
    config = f"pipelines/configs/{DATA.value.replace('-', '_')}_deepfm.py"
    for name in (BASELINE, "deepfm"):
        workdir = directory / f"run_{name}"
        settings = [f"--set=data={prepared}"]
        if name == BASELINE:
            settings += [
                f"--set=model={name}",
                "--set=model_arguments={}",
                "--set=learning_rate=0.01",
            ]
        with stage(f"train {name}"):
            run(
                "pipelines.train",
                f"--config={config}",
                f"--workdir={workdir}",
                *settings,
            )
        with stage(f"evaluate {name}"):
            test = f"--data={prepared}/test-*"
            run("pipelines.evaluate", f"--workdir={workdir}", test)
    best_run, export = directory / "run_deepfm", directory / "export" / "deepfm"
    with stage("export"):
        run("pipelines.export", f"--workdir={best_run}", f"--export_dir={export}")
    with stage("serve"):
        ask_server(export.resolve(), best_run, raw)

    print_table(directory, raw)
    print("\nplots:")
    for plot in sorted(directory.glob("run_*/plots/*.png")):
        print(f"  {plot}")
    print("\nwall time of each stage:")
    for name, seconds in TIMINGS.items():
        print(f"  {name:<30}{seconds:6.1f} s")
    print(f"  {'all':<30}{sum(TIMINGS.values()):6.1f} s")


if __name__ == "__main__":
    run_program(main)
