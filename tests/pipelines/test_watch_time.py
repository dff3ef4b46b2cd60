"""Watch times by the programs: from raw rows, one of them bad, to an export."""

import csv
import json

import numpy as np
import pytest

from keras_recs import (
    CategoricalFeature,
    Label,
    NumericFeature,
    Schema,
    SequenceFeature,
)
from tests.preloaded import run_preloaded

CONFIG = '''
from pipelines.config import Config


def get_config():
    """A tiny run."""
    return Config(
        data={data!r},
        model="youtube_ranking",
        model_arguments={{"embedding_dim": 4, "hidden_units": (8,)}},
        learning_rate=0.03,
        batch_size=64,
        epochs=3,
    )
'''
SCHEMA = Schema(
    features=[
        CategoricalFeature("user"),
        CategoricalFeature("video"),
        SequenceFeature("watched", table="video", max_length=4),
        NumericFeature("age", transform="quantile"),
    ],
    labels=[Label("watch", task="watch_time"), Label("click")],
    group_key="user",
)


def write_log(path, size, bad_row=None):
    """Video v is watched with probability (v + 1) / 6 for 10·(v + 1) on average."""
    rng = np.random.default_rng(0)
    names = ["user", "video", "watched", "age", "watch", "click"]
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for number in range(size):
            video = int(rng.integers(4))
            click = int(rng.random() < (video + 1) / 6)
            watch = round(click * rng.gamma(4, 10 * (video + 1) / 4), 1)
            history = "|".join(f"v{v}" for v in rng.integers(4, size=rng.integers(6)))
            row = {"user": f"u{rng.integers(5)}", "video": f"v{video}", "click": click}
            row |= {"watched": history, "age": round(rng.lognormal(), 3)}
            writer.writerow({**row, "watch": -1.5 if number == bad_row else watch})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Prepared data, with a bad row set aside; a run; its metrics; its export."""
    folder = tmp_path_factory.mktemp("watch")
    write_log(folder / "log.csv", 601, bad_row=7)
    SCHEMA.save(folder / "schema.json")
    prepare = (
        "-m",
        "pipelines.prepare",
        f"--input={folder / 'log.csv'}",
        f"--schema={folder / 'schema.json'}",
        f"--output={folder / 'prepared'}",
        "--split=random",
        "--fractions=0.5,0.25,0.25",
        "--num_shards=1",
        "--num_processes=1",
    )
    failed = run_preloaded(*prepare, check=False)
    assert failed.returncode == 1
    reason = "line 9, column 'watch': a watch time must not be negative"
    assert reason in failed.stderr and "'-1.5'" in failed.stderr
    done = run_preloaded(*prepare, "--max_bad_rows=1")
    assert "bad rows: 1" in done.stdout
    config = folder / "config.py"
    config.write_text(CONFIG.format(data=str(folder / "prepared")))
    workdir = f"--workdir={folder / 'run'}"
    run_preloaded("-m", "pipelines.train", f"--config={config}", workdir)
    test = f"--data={folder / 'prepared' / 'test-*'}"
    done = run_preloaded("-m", "pipelines.evaluate", workdir, test)
    assert "mispredicted_watch_time" in done.stdout
    export = f"--export_dir={folder / 'export'}"
    done = run_preloaded("-m", "pipelines.export", workdir, export, test)
    assert "\n  regress " in done.stdout
    return folder


def test_metrics(folder):
    stored = json.loads((folder / "run" / "metrics.json").read_text())["test"]
    watch = stored["watch"]
    assert {"mse", "calibration_ratio", "auc", "watch_time_auc", "gauc"} <= set(watch)
    # Longer videos are watched more often too, so the order can be learnt.
    assert watch["watch_time_auc"] > 0.6
    assert watch["mispredicted_watch_time"] < 0.4
    assert 0.3 < watch["positive_rate"] == stored["click"]["positive_rate"] < 0.55


def test_the_epoch_is_chosen_by_the_order_of_watch_times(folder):
    with open(folder / "run" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    values = [float(row["val_watch_watch_time_auc"]) for row in rows]
    import keras

    from keras_recs.data import tfrecord_dataset
    from keras_recs.evaluation import evaluate

    schema = Schema.load(folder / "run")
    files = str(folder / "prepared" / "valid-*")
    model = keras.models.load_model(folder / "run" / "model.keras")
    found = evaluate(model, tfrecord_dataset(files, schema, 99), schema)["watch"]
    assert found["watch_time_auc"] == pytest.approx(max(values), abs=1e-6)
    assert type(model.loss["watch"]).__name__ == "WeightedLogisticLoss"


def test_the_export_serves_times(folder):
    (version,) = (folder / "export").iterdir()
    manifest = json.loads((version / "manifest.json").read_text())
    differences = manifest["parity"]["largest_differences"]
    assert {"regress", "classify", "serving_default"} <= set(differences)
    assert manifest["metrics"]["test"]["watch"]["mse"] > 0
