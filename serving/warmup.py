"""Replay of the requests that a version carries to warm itself up."""

import os
import pathlib

import tensorflow as tf
from grpc import StatusCode
from tensorflow_serving.apis import prediction_log_pb2

from serving.classify import classify
from serving.errors import ServingError
from serving.multi_inference import multi_inference
from serving.predict import predict
from serving.regress import regress
from serving.servable import Servable

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000

_METHODS = {
    "predict_log": predict,
    "classify_log": classify,
    "regress_log": regress,
    "multi_inference_log": multi_inference,
}


def replay_warmup(servable: Servable, folder: str | os.PathLike[str]) -> int:
    """Runs every request of `assets.extra/tf_serving_warmup_requests`.

    The first run of a signature compiles and optimizes its graph, which no client
    should wait for. The file is a TFRecord of `PredictionLog`.

    Args:
        servable: the version, loaded and not yet visible to clients.
        folder: the version's folder.

    Returns:
        Number of records.

    Raises:
        ServingError: if a record does not parse or its request fails, or there are more
            than 1,000.
        tf.errors.DataLossError: if the file is damaged.
    """
    path = pathlib.Path(folder) / WARMUP_FILE
    if not path.exists():
        return 0
    count = 0
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        count += 1
        if count > MAX_RECORDS:
            raise ServingError.invalid_argument(
                f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at "
                f"{path}"
            )
        try:
            _replay(servable, record)
        except Exception as error:
            cause = ServingError.of(error)
            raise ServingError(
                cause.code, f"Warm-up record {count} of {path} failed: {cause.message}"
            ) from error
    return count


def _replay(servable: Servable, record: bytes) -> None:
    log = prediction_log_pb2.PredictionLog()
    try:
        log.ParseFromString(record)
    except Exception as error:
        raise ServingError.invalid_argument("it is not a PredictionLog.") from error
    kind = log.WhichOneof("log_type")
    if kind not in _METHODS:
        raise ServingError(
            StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}"
        )
    _METHODS[kind](servable, getattr(log, kind).request)
