"""`pipelines.evaluate`: metrics and plots of a run, in a process of its own."""

import json
import re

import keras
import pytest

from keras_recs import Schema
from keras_recs.data import tfrecord_dataset
from keras_recs.evaluation import evaluate
from tests.preloaded import run_preloaded

EARLIER = {"valid": {"click": {"auc": 0.5}}}


@pytest.fixture(scope="module")
def evaluated(run, prepared):
    """The run after the program on the test split, and what it printed."""
    workdir, _ = run
    (workdir / "metrics.json").write_text(json.dumps(EARLIER))
    done = run_preloaded(
        "-m", "pipelines.evaluate", f"--workdir={workdir}", f"--data={prepared}/test-*"
    )
    return workdir, done.stdout


def expected(workdir, prepared, split):
    schema = Schema.load(workdir)
    files = str(prepared / f"{split}-*")
    batches = tfrecord_dataset(files, schema, 7, shuffle=False, with_group=True)
    return evaluate(keras.models.load_model(workdir / "model.keras"), batches, schema)


def test_metrics(evaluated, prepared):
    workdir, output = evaluated
    stored = json.loads((workdir / "metrics.json").read_text())
    assert list(stored) == ["valid", "test"], "a data set is added to those before"
    assert stored["valid"] == EARLIER["valid"]
    assert not list(workdir.glob(".*")), "no temporary file is left"
    for label, values in expected(workdir, prepared, "test").items():
        assert stored["test"][label] == pytest.approx(values, rel=2e-2)
    assert stored["test"]["click"]["examples"] == 40
    assert stored["test"]["click"]["auc"] == pytest.approx(
        float(re.search(r"auc +(\S+)", output)[1]), rel=1e-4
    )


def test_plots(evaluated):
    workdir, output = evaluated
    names = sorted(path.name for path in (workdir / "plots").iterdir())
    assert names == ["test_click_reliability.png", "test_click_roc.png", "training.png"]
    for name in names:
        assert (workdir / "plots" / name).read_bytes()[:4] == b"\x89PNG"
        assert name in output


def test_importance(run, prepared):
    """In a file of its own, one entry a data set, with a table and plots."""
    workdir, _ = run
    earlier = {"valid": {"click": {"importance": {}}}}
    (workdir / "importance.json").write_text(json.dumps(earlier))
    done = run_preloaded(
        "-m",
        "pipelines.evaluate",
        f"--workdir={workdir}",
        f"--data={prepared}/test-*",
        "--importance",
        "--importance_repeats=2",
        "--importance_examples=30",
    )
    stored = json.loads((workdir / "importance.json").read_text())
    assert list(stored) == ["valid", "test"], "a data set is added to those before"
    schema = Schema.load(workdir)
    for label in ("click", "rating"):
        result = stored["test"][label]
        assert result["examples"] == 30
        assert result["repeats"] == 2
        assert list(result["importance"]) == list(schema.feature_names)
        assert f"importance for {label}" in done.stdout
        plot = workdir / "plots" / f"test_{label}_importance.png"
        assert plot.read_bytes()[:4] == b"\x89PNG"
        assert plot.name in done.stdout
    auc = {
        n: v["auc"]["mean"] for n, v in stored["test"]["click"]["importance"].items()
    }
    rows = re.findall(r"^  (\w+) +([+-]\S+) ±", done.stdout, re.M)[: len(auc)]
    assert [name for name, _ in rows] == sorted(auc, key=lambda name: -auc[name])
    assert float(rows[0][1]) == pytest.approx(max(auc.values()), abs=1e-5)
    assert "100%" in done.stderr, "progress"
