"""Workers that ask servers: as one machine, each example once, and what may die."""

import json

import keras
import numpy as np
import pytest

from keras_recs import preprocessing
from keras_recs.data import array_dataset, tfrecord_dataset, write_tfrecords
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


def write(folder, kind="deepfm", rows=128, shards=1, valid=False):
    """TFRecords that the processes train."""
    columns = columns_of(kind, rows)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values()))]
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


@pytest.mark.parametrize("optimizer", ["adam", "rowwise"])
def test_one_worker_trains_as_one_machine(optimizer, tmp_path):
    schema = write(tmp_path, valid=True)
    finished(
        PROGRAM, tmp_path, f"optimizer={optimizer}", "num_shards=2", "epochs=3", ps=2
    )
    result = result_of(tmp_path)
    assert result["iterations"] == 3 * 8
    assert len(result["devices"]) == 2, "both servers hold something"
    model = make_model("deepfm", schema, optimizer, 2)
    data = tfrecord_dataset(str(tmp_path / "train-*"), schema, BATCH, shuffle=False)
    expected = model.fit(data, epochs=3, verbose=0).history
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
