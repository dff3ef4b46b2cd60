"""Checksums and warm-up requests of a version folder, on real SavedModels."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow_serving.apis import prediction_log_pb2

from serving.errors import ServingError
from serving.load_version import load_version
from serving.manifest import verify_manifest


@pytest.fixture
def folder(saved_models, tmp_path):
    return shutil.copytree(saved_models / "1", tmp_path / "1")


def load(folder, **kwargs):
    servable = load_version("m", 1, folder, **kwargs)
    servable.close()


def write_manifest(folder):
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({"files": files, "schema": "any"}))
    return manifest


def test_manifest_that_matches(folder):
    write_manifest(folder)
    load(folder, require_manifest=True)


def test_manifest_may_be_absent_unless_required(folder):
    verify_manifest(folder)
    with pytest.raises(ValueError, match=r"manifest\.json is missing"):
        load(folder, require_manifest=True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: (f / "variables/variables.index").write_bytes(b""),
            r"variables/variables\.index does not match",
        ),
        (
            lambda f: (f / "fingerprint.pb").unlink(),
            r"fingerprint\.pb is listed in .*but missing",
        ),
        (lambda f: (f / "assets/x").write_text("x"), "assets/x is not listed in"),
        (lambda f: (f / "manifest.json").write_text("[]"), "must hold"),
        (lambda f: (f / "manifest.json").write_text("{"), "must hold"),
    ],
)
def test_manifest_that_does_not_match(folder, damage, message):
    (folder / "assets").mkdir(exist_ok=True)
    write_manifest(folder)
    damage(folder)
    with pytest.raises(ValueError, match=message):
        load(folder)


def predict_log(value, signature_name="serving_default"):
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = signature_name
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(value))
    return log


def example_log(kind):
    log = prediction_log_pb2.PredictionLog()
    request = getattr(log, f"{kind}_log").request
    request.model_spec.signature_name = kind
    request.input.example_list.examples.add()
    return log


def multi_inference_log():
    log = prediction_log_pb2.PredictionLog()
    request = log.multi_inference_log.request
    task = request.tasks.add(method_name="tensorflow/serving/regress")
    task.model_spec.name = "m"
    task.model_spec.signature_name = "regress"
    request.input.example_list.examples.add()
    return log


def write_warmup(folder, *records):
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(
                record if isinstance(record, bytes) else record.SerializeToString()
            )
    return path


def test_warmup_of_every_method(folder):
    write_warmup(
        folder,
        predict_log(np.float32([1.0])),
        example_log("classify"),
        example_log("regress"),
        multi_inference_log(),
    )
    load(folder)


@pytest.mark.parametrize(
    ("record", "code", "message"),
    [
        (predict_log(np.int64([1])), StatusCode.INVALID_ARGUMENT, "Warm-up record 2"),
        (predict_log(1.0, "s"), StatusCode.FAILED_PRECONDITION, 'key "s" not found'),
        (b"\xff", StatusCode.INVALID_ARGUMENT, "not a PredictionLog"),
        (b"", StatusCode.UNIMPLEMENTED, "Unsupported log_type for warmup: None"),
    ],
)
def test_warmup_that_fails_fails_the_load(folder, record, code, message):
    write_warmup(folder, predict_log(np.float32([1.0])), record)
    with pytest.raises(ServingError, match=message) as caught:
        load(folder)
    assert caught.value.code == code
    load(folder, enable_warmup=False)


def test_warmup_of_more_than_a_thousand_records(folder):
    record = predict_log(np.float32([1.0])).SerializeToString()
    write_warmup(folder, *[record] * 1000)
    load(folder)
    write_warmup(folder, *[record] * 1001)
    with pytest.raises(ServingError, match=r"exceeds the maximum \(1000\)"):
        load(folder)


def test_damaged_warmup_file(folder):
    path = write_warmup(folder, predict_log(np.float32([1.0])))
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    with pytest.raises(tf.errors.DataLossError):
        load(folder)


def test_folder_without_saved_model(tmp_path):
    with pytest.raises(OSError, match="SavedModel file does not exist"):
        load(tmp_path)
