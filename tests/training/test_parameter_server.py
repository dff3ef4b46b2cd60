"""Workers that ask servers: as one machine, each example once, and what may die."""

import json
import signal
import time

import keras
import numpy as np
import pytest

from keras_recs import preprocessing
from keras_recs.data import tfrecord_dataset, write_tfrecords
from tests.training.clusters import SECONDS, finished, servers
from tests.training.server_run import (
    BATCH,
    EPOCHS,
    columns_of,
    make_model,
    schema_of,
)

pytestmark = pytest.mark.distributed
PROGRAM = "tests.training.server_run"


def write(folder, kind="deepfm", rows=128, shards=1, valid=False, columns=None):
    """TFRecords that the processes train."""
    columns = columns or columns_of(kind, rows)
    lines = [
        ",".join(columns),
        *(",".join(map(str, row)) for row in zip(*columns.values())),
    ]
    log = folder / "log.csv"
    log.write_text("\n".join(lines) + "\n")
    schema = preprocessing.fit(schema_of(kind, rows), log, folder / "prepared")
    schema.save(folder / "prepared" / "schema.json")
    write_tfrecords(log, schema, folder / "train", num_shards=shards)
    if valid:
        write_tfrecords(log, schema, folder / "valid", num_shards=1)
    return schema


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize(
    "optimizer", ["adam", pytest.param("rowwise", marks=pytest.mark.large)]
)
def test_one_worker_trains_as_one_machine(optimizer, tmp_path):
    schema = write(tmp_path, valid=True)
    options = (tmp_path, f"optimizer={optimizer}", "num_shards=2", "epochs=3")
    # Asked to end in the midst of an epoch; rounds give the chief time to see it.
    asked = ("ask_at=1,3", "round_steps=3")
    finished(PROGRAM, *options, *asked, status=143, ps=2)
    finished(PROGRAM, *options, ps=2)
    result = result_of(tmp_path)
    assert result["iterations"] == 3 * 8
    assert len(result["devices"]) == 2, "both servers hold something"
    model = make_model("deepfm", schema, optimizer, 2)
    data = tfrecord_dataset(str(tmp_path / "train-*"), schema, BATCH, shuffle=False)
    expected = model.fit(data, epochs=3, shuffle=False, verbose=0).history
    with np.load(tmp_path / "weights.npz") as stored:
        for name, value in zip(stored.files, model.get_weights(), strict=True):
            np.testing.assert_allclose(stored[name], value, atol=1e-5)
    for name in ("loss", "auc"):
        np.testing.assert_allclose(
            result["history"][name], expected[name], rtol=1e-4, err_msg=name
        )
    assert "val_click_auc" in result["history"]
    loaded = keras.models.load_model(tmp_path / "run" / "model.keras")
    assert loaded.count_params() == model.count_params()


def counted(folder, rows, epochs=EPOCHS):
    """How often each row was trained, and the result."""
    counts = np.load(folder / "counts.npy")
    assert counts.shape == (rows,)
    return counts, result_of(folder)


@pytest.mark.smoke
def test_two_workers_train_each_example_once(tmp_path):
    """They share the records of one file, in another order each epoch."""
    rows = 600
    write(tmp_path, "counting", rows)
    arguments = ("model=counting", f"rows={rows}", "shuffle=yes")
    finished(PROGRAM, tmp_path, *arguments, workers=2)
    counts, result = counted(tmp_path, rows)
    np.testing.assert_array_equal(counts, EPOCHS)
    assert result["iterations"] == EPOCHS * -(-rows // BATCH)
    assert len(result["history"]["loss"]) == EPOCHS
    # Each example adds its weight, which falls by one an epoch, to the loss.
    first, second = result["history"]["loss"]
    assert second < first < 0


def wait_for(cluster, what):
    """Waits until the chief says something, or is through."""
    deadline = time.monotonic() + SECONDS
    while what not in cluster.said():
        assert time.monotonic() < deadline, cluster.said()
        assert cluster.chief.poll() is None, cluster.said()
        time.sleep(0.02)


def test_what_dies_costs_no_example(tmp_path):
    """A worker that comes back; then a server, and the newest checkpoint with it."""
    rows = 2000
    write(tmp_path, "counting", rows, shards=2)
    options = (tmp_path, "model=counting", f"rows={rows}", "steps=20", "epochs=3")
    with servers(PROGRAM, *options, workers=2, ps=2) as cluster:
        wait_for(cluster, "batch 4")
        cluster.kill("worker", 1)
        cluster.start("worker", 1)
        wait_for(cluster, "epoch 0")
        states = tmp_path / "run" / "checkpoints"
        deadline = time.monotonic() + SECONDS
        while len(list(states.glob("state-????????"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        cluster.kill("ps", 1)
        assert cluster.chief.wait(SECONDS) == 1
        assert "A parameter server was lost. Start all processes" in cluster.said()
        # The others end by themselves.
        assert cluster.processes["worker", 0].wait(30) == 1
        assert cluster.processes["ps", 0].wait(30) == 1
    newest = sorted(states.glob("state-????????"))[-1]
    damaged = next(newest.glob("ps-0.data*"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    said = finished(PROGRAM, *options, workers=2, ps=2)
    assert "is damaged" in said
    counts, result = counted(tmp_path, rows)
    assert len(result["history"]["loss"]) == 3
    assert counts.min() >= 3
    assert (counts > 3).sum() <= BATCH, "at most the batch of the killed worker again"
    assert not states.exists() or not list(states.glob("state-*"))


def test_a_request_to_end_and_short_checkpoints(tmp_path):
    """SIGTERM to all saves; checkpoints that are always due do not keep workers from steps."""
    rows = 2000
    write(tmp_path, "counting", rows)
    options = (tmp_path, "model=counting", f"rows={rows}", "seconds=0.001")
    with servers(PROGRAM, *options) as cluster:
        wait_for(cluster, "batch 1")
        for process in cluster.processes.values():
            process.send_signal(signal.SIGTERM)
        assert cluster.chief.wait(SECONDS) == 143, cluster.said()
        assert cluster.processes["worker", 0].wait(30) == 1
        assert cluster.processes["ps", 0].wait(30) == 1
    assert list((tmp_path / "run" / "checkpoints").glob("state-*"))
    finished(PROGRAM, *options, workers=2)
    counts, result = counted(tmp_path, rows)
    np.testing.assert_array_equal(counts, EPOCHS)
    assert result["iterations"] == EPOCHS * -(-rows // BATCH)


def test_what_is_refused(tmp_path):
    """Another model or data set, and without a loss of what is there."""
    write(tmp_path, rows=2000)
    said = finished("tests.training.refused_run", tmp_path)
    assert said.count("as expected") == 6, said


def test_steps_that_are_not_finite(tmp_path):
    """Named and stopped at, or left out and counted."""
    columns = columns_of("deepfm", 128)
    columns["x"] = np.where(np.arange(128) == 40, 1e30, columns["x"])
    write(tmp_path, columns=columns)
    said = finished(PROGRAM, tmp_path, status=1)
    assert "NonFiniteStep: Epoch 0" in said
    assert "feature 'x' is 1e+30 in row 8 of the batch" in said
    assert "Nothing of the step was applied" in said
    options = ("on_nonfinite=skip", "model=own_step", "round_steps=3")
    said = finished(PROGRAM, tmp_path, *options, workers=2)
    result = result_of(tmp_path)
    assert result["history"]["skipped_steps"] == [1, 2]
    assert result["iterations"] == EPOCHS * (8 - 1)
    assert np.isfinite(result["history"]["loss"]).all()
    with np.load(tmp_path / "weights.npz") as stored:
        assert all(np.isfinite(stored[name]).all() for name in stored.files)
