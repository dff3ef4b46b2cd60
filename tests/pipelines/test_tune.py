"""`pipelines.tune`: a search, going on, and a chief with two tuners."""

import csv
import json
import socket

import pytest

from pipelines.config import load_config
from tests.preloaded import Preloaded, run_preloaded

SETTINGS = (
    "--set=space.embedding_dim=[2,4]",
    "--set=space.hidden_units=[(4,),(4,2)]",
    '--set=space.learning_rate={"low": 1e-3, "high": 1e-1}',
    "--set=space.dropout=0.1",
)


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def arguments(config_file):
    return ("-m", "pipelines.tune", f"--config={config_file}", *SETTINGS)


@pytest.fixture(scope="module")
def found(arguments, tmp_path_factory):
    """The folder of a search and its output."""
    workdir = tmp_path_factory.mktemp("tuning") / "search"
    done = run_preloaded(
        *arguments,
        f"--workdir={workdir}",
        "--tuner=random",
        "--max_trials=2",
        "--max_epochs=2",
        "--objective=val_click_gauc",
    )
    return workdir, done.stdout + done.stderr


def test_a_search_is_complete(found):
    workdir, output = found
    assert "search: at most 2 trials and 4 epochs in all." in output
    assert "searched: embedding_dim=[2, 4], hidden_units=[(4,), (4, 2)], " in output
    assert "learning_rate={'low': 0.001, 'high': 0.1}\n" in output
    assert "held: batch_size=32, dropout=0.1\n" in output
    assert f"run: {workdir / 'best'}" in output
    rows = rows_of(workdir / "trials.csv")
    assert len(rows) == 2
    assert {row["status"] for row in rows} == {"COMPLETED"}
    assert all(float(row["seconds"]) > 0 and row["error"] == "" for row in rows)
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    table = (workdir / "trials.md").read_text().splitlines()
    assert table[0].startswith("| trial | status | score |")
    assert len(table) == 4


def test_the_best_is_a_run(found, prepared, tmp_path):
    workdir, _ = found
    run = workdir / "best"
    best = rows_of(workdir / "trials.csv")[0]
    config = load_config(str(run / "config.json"))
    assert config.model_arguments["hidden_units"] == json.loads(best["hidden_units"])
    assert config.model_arguments["embedding_dim"] == int(best["embedding_dim"])
    assert config.model_arguments["dropout"] == 0.1
    assert config.learning_rate == float(best["learning_rate"])
    assert config.monitor == "val_click_gauc"
    assert config.space == {}

    run_preloaded(
        "-m",
        "pipelines.evaluate",
        f"--workdir={run}",
        f"--data={prepared / 'valid-*'}",
    )
    results = json.loads((run / "metrics.json").read_text())["test"]
    assert results["click"]["gauc"] == pytest.approx(float(best["score"]), rel=1e-12)
    assert (run / "plots" / "training.png").exists()
    run_preloaded(
        "-m", "pipelines.export", f"--workdir={run}", f"--export_dir={tmp_path}"
    )
    assert (tmp_path / "1" / "saved_model.pb").exists()


def test_going_on_and_another_search(found, prepared):
    from keras_recs import Schema
    from pipelines.run_search import begin_search

    workdir, _ = found
    identity = json.loads((workdir / "search.json").read_text())
    assert identity["schema"] == Schema.load(prepared).fingerprint()
    begin_search(workdir, identity, False)
    assert (workdir / "trials").exists()
    for name in ("tuner", "schema"):
        message = rf"holds a search with another {name} .*prepared again.*--overwrite"
        with pytest.raises(ValueError, match=message):
            begin_search(workdir, {**identity, name: "other"}, False)


def test_the_arguments_that_are_searched_and_held(config_file, prepared):
    """What the configuration sets is held, unless `space` names it."""
    from keras_recs import Schema
    from pipelines.run_search import make_hypermodel

    schema = Schema.load(prepared)
    config = load_config(str(config_file)).replaced(
        [
            "model_arguments.seed=3",
            "embedding_options.num_shards=2",
            "space.hidden_units=[[2], [3]]",
            "space.batch_norm=True",
        ]
    )
    hypermodel = make_hypermodel(config, schema)
    assert set(hypermodel.held) == {"embedding_dim", "seed", "embedding_options"}
    assert hypermodel.held["embedding_dim"] == 4
    assert set(hypermodel.ranges) == {
        *("hidden_units", "dropout", "batch_norm", "embeddings_regularizer"),
        "learning_rate",
    }
    with pytest.raises(ValueError, match="must be one of"):
        make_hypermodel(config.replaced(["model=deep"]), schema)


def test_overwriting_removes_what_is_a_search_s_own(tmp_path):
    from pipelines.run_search import begin_search

    begin_search(tmp_path, {"a": 1}, False)
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials.csv").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    begin_search(tmp_path, {"a": 2}, True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt", "search.json"]


def test_a_tuner_leaves_the_folder_to_its_chief(tmp_path, monkeypatch):
    from pipelines.run_search import begin_search

    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner0")
    begin_search(tmp_path, {"a": 1}, True)
    assert not list(tmp_path.iterdir())
    (tmp_path / "trials").mkdir()
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    begin_search(tmp_path, {"a": 1}, True)
    assert [path.name for path in tmp_path.iterdir()] == ["search.json"]


@pytest.mark.large
@pytest.mark.distributed
def test_a_chief_and_two_tuners(arguments, tmp_path):
    """On this machine; each process ends by itself or is killed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "trials" / "trial_99").mkdir(parents=True)
    (tmp_path / "search.json").write_text('{"tuner": "of another search"}')
    command = [
        *arguments,
        f"--workdir={tmp_path}",
        "--tuner=hyperband",
        "--max_trials=4",
        "--max_epochs=3",
        "--overwrite",
        # Some trials fail, in a process other than the chief's.
        "--set=space.embedding_dim=[2,-1]",
    ]
    processes = {}
    try:
        for name in ("chief", "tuner0", "tuner1"):
            processes[name] = Preloaded(
                *command,
                KERASTUNER_TUNER_ID=name,
                KERASTUNER_ORACLE_IP="127.0.0.1",
                KERASTUNER_ORACLE_PORT=str(port),
            )
        for process in processes.values():
            process.wait(240)
        outputs = {name: process.said() for name, process in processes.items()}
        status = {name: process.returncode for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.close()
    for name, output in outputs.items():
        assert status[name] == 0, output[-4000:]
    rows = rows_of(tmp_path / "trials.csv")
    assert len(rows) == 4
    assert not (tmp_path / "trials" / "trial_99").exists()
    assert {row["status"] for row in rows} == {"COMPLETED", "FAILED"}
    for row in rows:
        failed = row["status"] == "FAILED"
        assert (
            (row["embedding_dim"] == "-1") == failed == ("ValueError" in row["error"])
        )
    assert (tmp_path / "best" / "model.keras").exists()
    assert {"chief.json", "tuner0.json", "tuner1.json"} <= {
        path.name for path in (tmp_path / "trials").iterdir()
    }
    assert "failed: ValueError" in outputs["tuner0"] + outputs["tuner1"]
    assert all("Trial" in outputs[name] for name in ("tuner0", "tuner1"))
