"""A funnel's raw log, through every program, to the rates that its export gives."""

import csv
import json

import numpy as np

from keras_recs import CategoricalFeature, Label, Schema
from tests.preloaded import run_preloaded


def write_log(path, rows=600):
    rng = np.random.default_rng(0)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "hour", "click", "conversion"])
        for _ in range(rows):
            item, hour = int(rng.integers(5)), int(rng.integers(24))
            click = int(rng.random() < 0.2 + 0.12 * item)
            writer.writerow(
                [f"i{item}", hour, click, int(click and rng.random() < 0.4)]
            )
        writer.writerow(["i0", 3, 0, 1])  # bought without a click
    return Schema(
        [CategoricalFeature("item"), CategoricalFeature("hour", vocabulary_size=24)],
        [Label("click"), Label("conversion", given="click")],
    )


def run(program, *arguments):
    return run_preloaded("-m", f"pipelines.{program}", *arguments)


def test_from_impressions_to_rates(tmp_path):
    prepared, workdir = tmp_path / "prepared", tmp_path / "run"
    write_log(tmp_path / "log.csv").save(tmp_path / "schema.json")
    source = [f"--input={tmp_path / 'log.csv'}", f"--schema={tmp_path / 'schema.json'}"]
    source += [f"--output={prepared}", "--split=random", "--fractions=0.6,0.2,0.2"]
    failed = run_preloaded("-m", "pipelines.prepare", *source, check=False)
    assert failed.returncode
    run("prepare", *source, "--max_bad_rows=1", "--num_shards=1")
    (bad,) = (prepared / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(bad)["line"] == 602, "the header is line 1"
    assert "'conversion'" in bad and "'click'" in bad

    config = tmp_path / "config.json"
    settings = {
        "data": str(prepared),
        "model": "esmm",
        "model_arguments": {"embedding_dim": 4, "hidden_units": [8]},
        "batch_size": 64,
        "epochs": 2,
        "monitor": "val_conversion_given_click_log_loss",
    }
    config.write_text(json.dumps(settings))
    run("train", f"--config={config}", f"--workdir={workdir}")
    run("evaluate", f"--workdir={workdir}", f"--data={prepared}/test-*")
    found = json.loads((workdir / "metrics.json").read_text())["test"]
    assert set(found) >= {"click", "conversion", "conversion_given_click"}
    assert found["conversion"]["examples"] == found["click"]["examples"]
    clicked = found["conversion_given_click"]["examples"]
    assert 0 < clicked < found["click"]["examples"]
    run("export", f"--workdir={workdir}", f"--export_dir={tmp_path / 'export'}")
    (version,) = (tmp_path / "export").glob("[0-9]*")
    import tensorflow as tf

    serve = tf.saved_model.load(str(version)).signatures["serving_default"]
    raw = {"item": tf.constant(["i0", "i4"]), "hour": tf.constant([3, 4], tf.int64)}
    answers = {name: value.numpy() for name, value in serve(**raw).items()}
    product = answers["click"] * answers["conversion_given_click"]
    np.testing.assert_allclose(answers["conversion"], product, rtol=1e-5)
