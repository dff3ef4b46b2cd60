"""Criteo's and Avazu's formats, from raw rows to a trained model, on made-up rows."""

import csv
import gzip
import json
import os
import random
from pathlib import Path

import pytest

from keras_recs import Schema
from pipelines import avazu, criteo
from pipelines.config import load_config
from pipelines.train import build_model
from tests.preloaded import run_preloaded

SMALL = (
    "--set=model_arguments.embedding_dim=4",
    "--set=model_arguments.hidden_units=(8,)",
    "--set=batch_size=64",
    "--set=epochs=1",
)


def criteo_rows(count):
    """Rows of the format: integers and categories that may be missing, no header."""
    rng = random.Random(0)
    for _ in range(count):
        numbers = [
            "" if rng.random() < 0.2 else str(rng.randint(-2, 3000)) for _ in range(13)
        ]
        categories = [
            "" if rng.random() < 0.1 else f"{rng.randint(0, 5):08x}" for _ in range(26)
        ]
        yield "\t".join([str(rng.randint(0, 1)), *numbers, *categories])


def prepare_criteo(source, folder):
    run_preloaded("-m", "pipelines.criteo", f"--schema={folder}/schema.json")
    columns = run_preloaded("-m", "pipelines.criteo", "--print_columns").stdout.strip()
    run_preloaded(
        "-m",
        "pipelines.prepare",
        f"--input={source}",
        "--format=tsv",
        f"--columns={columns}",
        f"--schema={folder}/schema.json",
        f"--output={folder}/prepared",
        "--split=random",
        "--num_shards=2",
        "--num_processes=1",
    )


def train_and_evaluate(config, folder, *settings):
    run_preloaded(
        "-m",
        "pipelines.train",
        f"--config=pipelines/configs/{config}.py",
        f"--workdir={folder}/run",
        f"--set=data={folder}/prepared",
        *settings,
    )
    run_preloaded(
        "-m",
        "pipelines.evaluate",
        f"--workdir={folder}/run",
        f"--data={folder}/prepared/test-*",
    )
    return json.loads((folder / "run" / "metrics.json").read_text())["test"]


def test_criteo(tmp_path):
    source = tmp_path / "train.txt"
    source.write_text("\n".join(criteo_rows(400)) + "\n")
    prepare_criteo(source, tmp_path)
    schema = Schema.load(tmp_path / "prepared")
    assert schema.feature_names == criteo.COLUMNS[1:]
    # Six categories and the row for missing ones have more than ten sightings each.
    assert schema.tables["C1"].num_rows == 1 + 1 + 6
    metrics = train_and_evaluate("criteo_dcn_v2", tmp_path, *SMALL)
    assert 0 <= metrics["label"]["auc"] <= 1
    config = load_config("pipelines/configs/criteo_dlrm.py")
    model = build_model(config, schema)
    assert model.get_layer("dot").output.shape == (None, 27 * 26 // 2)


def test_rows_of_criteo(tmp_path):
    data = os.environ.get("KERAS_RECS_DATA")
    sample = Path(data or "") / "criteo-sample" / "first10k.tsv.gz"
    if not data or not sample.exists():
        pytest.skip("KERAS_RECS_DATA does not hold criteo-sample")
    prepare_criteo(sample, tmp_path)
    manifest = json.loads((tmp_path / "prepared" / "manifest.json").read_text())
    assert sum(manifest["rows"].values()) == 10_000 and not manifest["bad_rows"]


def avazu_rows(count):
    rng = random.Random(0)
    for number in range(count):
        yield {
            "id": str(number),
            "click": rng.randint(0, 1),
            "hour": f"1410{21 + number * 9 // count}{rng.randint(0, 23):02}",
            **{name: rng.choice("abcd") for name in avazu.CATEGORIES},
        }


def write_avazu(path, rows):
    rows = list(rows)
    with gzip.open(path, "wt", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_avazu(tmp_path):
    write_avazu(tmp_path / "train.gz", avazu_rows(300))
    run_preloaded(
        "-m",
        "pipelines.avazu",
        f"--input={tmp_path}/train.gz",
        f"--output={tmp_path}/avazu",
    )
    with gzip.open(tmp_path / "avazu" / "clicks.csv.gz", "rt", newline="") as file:
        first = next(csv.DictReader(file))
    # 2014-10-21 was a Tuesday.
    assert first["weekday"] == "1" and int(first["hour_of_day"]) == int(
        first["hour"][-2:]
    )
    run_preloaded(
        "-m",
        "pipelines.prepare",
        f"--input={tmp_path}/avazu/clicks.csv.gz",
        f"--schema={tmp_path}/avazu/schema.json",
        f"--output={tmp_path}/prepared",
        "--split=time",
        "--num_shards=2",
        "--num_processes=1",
    )
    metrics = train_and_evaluate("avazu_deepfm", tmp_path, *SMALL)
    assert 0 <= metrics["click"]["auc"] <= 1


def test_messages(tmp_path):
    (row,) = avazu_rows(1)
    write_avazu(tmp_path / "a.gz", [{**row, "hour": "141032"}])
    with pytest.raises(ValueError, match=r"line 2: `hour` must be YYMMDDHH.*'141032'"):
        avazu.convert_avazu(tmp_path / "a.gz", tmp_path / "out.gz")
    del row["site_id"]
    write_avazu(tmp_path / "b.gz", [row])
    with pytest.raises(ValueError, match=r"lacks the columns \['site_id'\]"):
        avazu.convert_avazu(tmp_path / "b.gz", tmp_path / "out.gz")
    assert not (tmp_path / "out.gz").exists()
    assert not list(tmp_path.glob(".*.tmp"))
