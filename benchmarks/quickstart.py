"""Wall time of each stage of `make quickstart`, installation left out.

python -m benchmarks.quickstart --output=benchmarks/results/quickstart.json
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from absl import app, flags

from benchmarks.hardware import hardware

ROUNDS = flags.DEFINE_integer("rounds", 1, "Runs, one after another.", 1)
DATA = flags.DEFINE_string("data", "synthetic", "As pipelines.quickstart takes it.")
DATA_DIR = flags.DEFINE_string("data_dir", "", "As pipelines.quickstart takes it.")
OUTPUT = flags.DEFINE_string("output", "", "JSON file that is written.")


def run_once() -> dict[str, dict[str, float]]:
    """Runs the quickstart in a folder of its own; returns seconds and AUCs."""
    with tempfile.TemporaryDirectory() as directory:
        command = [
            *(sys.executable, "-m", "pipelines.quickstart"),
            f"--data={DATA.value}",
            f"--data_dir={DATA_DIR.value}",
            f"--directory={directory}",
        ]
        done = subprocess.run(
            command, check=True, timeout=600, stdout=subprocess.PIPE, text=True
        )
    stages = done.stdout.partition("wall time of each stage:")[2]
    seconds = re.findall(r"^  (.+?) {2,}([\d.]+) s$", stages, re.MULTILINE)
    rows = re.findall(
        r"^(\(?[a-z][a-z_ ]*?\)?) {2,}(0\.\d{4})(?!\d)", done.stdout, re.MULTILINE
    )
    return {
        "seconds": {name: float(value) for name, value in seconds},
        "test_auc": {name: float(value) for name, value in rows},
    }


def main(_) -> None:
    """Runs the benchmark."""
    result = {**hardware(), "runs": [run_once() for _ in range(ROUNDS.value)]}
    print(json.dumps(result, indent=2))
    if OUTPUT.value:
        Path(OUTPUT.value).parent.mkdir(parents=True, exist_ok=True)
        Path(OUTPUT.value).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
