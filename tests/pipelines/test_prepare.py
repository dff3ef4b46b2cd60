"""`python -m pipelines.prepare` as it is called from a shell."""

import json
import subprocess
import sys
from pathlib import Path

from keras_recs import Schema
from tests.raw_logs import as_tsv, log_rows, log_schema, write_log

ROOT = Path(__file__).parents[2]


def call(*arguments):
    command = [sys.executable, "-m", "pipelines.prepare", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_from_raw_files_to_a_prepared_folder(tmp_path):
    rows = log_rows(90)
    write_log(rows[:50], tmp_path / "log1.csv.gz")
    write_log(rows[50:], tmp_path / "log2.csv.gz")
    log_schema().save(tmp_path / "schema.json")
    arguments = [
        f"--input={tmp_path}/log*.csv.gz",
        f"--schema={tmp_path}/schema.json",
        f"--output={tmp_path}/prepared",
        "--split=time",
        "--fractions=0.5,0.25,0.25",
        "--num_shards=2",
        "--compression=GZIP",
        "--num_processes=1",
    ]
    done = call(*arguments)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == f"output: {tmp_path}/prepared"
    manifest = json.loads((tmp_path / "prepared/manifest.json").read_text("utf-8"))
    assert lines[:3] == [f"{n}: {rows} rows" for n, rows in manifest["rows"].items()]
    assert sum(manifest["rows"].values()) == 90
    assert Schema.load(tmp_path / "prepared").is_fitted
    assert "fit and write: 100%" in done.stderr

    again = call(*arguments)
    assert again.returncode == 0
    assert again.stdout.startswith(
        f"unchanged: {tmp_path}/prepared was made of the same"
    )
    other = call(*arguments, "--seed=5")
    assert other.returncode == 1
    assert "another split" in other.stderr and "--overwrite" in other.stderr
    assert "Traceback" not in other.stderr


def test_files_without_a_header_and_with_bad_rows(tmp_path):
    rows = log_rows(30)
    rows[2]["click"] = "broken"
    data = as_tsv(rows, header=False).replace(b"\t", b";")
    (tmp_path / "log.txt").write_bytes(data)
    log_schema().save(tmp_path / "schema.json")
    arguments = [
        f"--input={tmp_path}/log.txt",
        f"--schema={tmp_path}/schema.json",
        f"--output={tmp_path}/prepared",
        "--format=tsv",
        "--delimiter=;",
        f"--columns={','.join(rows[0])}",
        "--num_processes=1",
        "--noprogress",
    ]
    failed = call(*arguments)
    assert failed.returncode == 1
    assert failed.stderr.startswith(
        f"prepare: Bad row in '{tmp_path}/log.txt', line 3, column 'click': the value is "
        "not a number. Received: 'broken'"
    )
    assert not (tmp_path / "prepared").exists()
    done = call(*arguments, "--max_bad_rows=1", "--split=hash", "--split_key=user")
    assert done.returncode == 0, done.stderr
    assert f"bad rows: 1, in {tmp_path}/prepared/quarantine.jsonl" in done.stdout


def test_help_has_examples():
    shown = call("--help").stdout
    assert "Examples:" in shown and "--split=last_per_user" in shown
    assert "--max_bad_rows" in shown
