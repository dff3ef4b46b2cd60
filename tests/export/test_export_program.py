"""The program, as a user runs it."""

import json

from keras_recs.schema import Schema
from tests.export.small_models import LABELS, deep_model
from tests.preloaded import run_preloaded
from tests.samples import click_columns, click_schema, example, rows_of, write_records


def run(*arguments):
    return run_preloaded("-m", "pipelines.export", *arguments, check=False)


def test_help():
    result = run("--help")
    assert "python -m pipelines.export --workdir=runs/deepfm" in result.stdout


def test_a_run_is_exported(tmp_path):
    workdir = tmp_path / "run"
    (workdir / "vocabularies").mkdir(parents=True)
    schema = click_schema(workdir / "vocabularies", LABELS[:1])
    schema.save(workdir / "schema.json")
    deep_model(schema).save(workdir / "model.keras")
    metrics = {"test": {"click": {"auc": 0.5}}}
    (workdir / "metrics.json").write_text(json.dumps(metrics))
    rows = rows_of(click_columns(8))
    write_records(tmp_path / "valid-0.tfrecord", [example(row) for row in rows[:5]])
    write_records(tmp_path / "valid-1.tfrecord.gz", [example(row) for row in rows[5:]])

    result = run(
        f"--workdir={workdir}",
        f"--export_dir={tmp_path / 'export'}",
        f"--data={tmp_path / 'valid-*'}",
        "--version=12",
    )
    assert result.returncode == 0, result.stderr
    path = tmp_path / "export" / "12"
    assert f"export:  {path} (" in result.stdout
    for signature in ("serving_default", "serve_tf_example", "classify", "regress"):
        assert f"\n  {signature} " in result.stdout
    assert json.loads((path / "manifest.json").read_text())["metrics"] == metrics
    stored = Schema.load(path / "assets.extra")
    assert stored.fingerprint() == schema.fingerprint()
    # The first warm-up request is the first row of the data.
    warmup = (path / "assets.extra" / "tf_serving_warmup_requests").read_bytes()
    assert rows[0]["item"].encode() in warmup
