"""Requests that a server replays before it lets clients in."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from keras_recs.export.raw_rows import RawRows
from keras_recs.export.recommending import Recommending
from keras_recs.export.signature_plan import PlannedSignature, signature_plan
from keras_recs.schema import Schema

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
BATCH_SIZES = (1, 64)


def write_warmup(
    folder: Path,
    schema: Schema,
    rows: RawRows,
    recommending: Recommending | None = None,
) -> None:
    """Writes `assets.extra/tf_serving_warmup_requests`.

    Every signature is requested at batch 1 and 64, so that no client waits for the
    first run of a graph.

    Args:
        folder: the export.
        schema: its schema.
        rows: raw rows, of which the first are taken.
        recommending: of a model of sequences. Defaults to `None`.

    Raises:
        ImportError: if `tensorflow-serving-api` is not installed.
    """
    path = folder / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for batch_size in BATCH_SIZES:
            for planned in signature_plan(schema, recommending):
                log = _prediction_log(planned, rows, min(batch_size, len(rows)))
                writer.write(log.SerializeToString(deterministic=True))


def _prediction_log(planned: PlannedSignature, rows: RawRows, batch_size: int):
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError as error:
        raise ImportError(
            "Warm-up requests are written as protos of TF Serving, which are missing: "
            "`pip install tensorflow-serving-api`."
        ) from error

    log = prediction_log_pb2.PredictionLog()
    if planned.method == "predict":
        request = log.predict_log.request
        request.model_spec.signature_name = planned.key
        arrays = rows.arrays(0, batch_size)
        if planned.examples_input is not None:
            arrays = {planned.examples_input: rows.examples(0, batch_size)}
        for name, array in arrays.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        return log
    if planned.method == "classify":
        request = log.classify_log.request
    else:
        request = log.regress_log.request
    request.model_spec.signature_name = planned.key
    for example in rows.examples(0, batch_size):
        request.input.example_list.examples.add().ParseFromString(example)
    return log
