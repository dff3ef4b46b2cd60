"""Whether an exported model answers as the Keras model does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_recs.export.comparison import Comparison, Tolerance, root_mean_square
from keras_recs.export.float32_twin import float32_twin
from keras_recs.export.fresh_process import FreshProcess, Request
from keras_recs.export.next_item_reference import NextItemReference
from keras_recs.export.raw_rows import RawRows
from keras_recs.export.recommending import Recommending
from keras_recs.export.signature_plan import PlannedSignature, signature_plan
from keras_recs.export.write_saved_model import CLASSES, as_float32
from keras_recs.schema import Schema

if TYPE_CHECKING:
    import keras

NUM_SINGLE_ROWS = 8
PROBABILITY_TOLERANCE = 1e-6
RELATIVE_TOLERANCE = 1e-5
_FLOAT32_NOISE = 1e-7  # of a sum of terms about 1 that comes out near 0
_MOST_NOISE = 0.05
# Relative error of one rounding to the types of a mixed-precision policy.
_ROUNDING = {
    tf.bfloat16.as_datatype_enum: 2.0**-8,
    tf.float16.as_datatype_enum: 2.0**-11,
}


def check_parity(
    folder: Path,
    model: keras.Model,
    schema: Schema,
    preprocessor: Any,
    rows: RawRows,
    timeout: float = 600.0,
    recommending: Recommending | None = None,
) -> dict[str, Any]:
    """Compares every signature of a SavedModel with the Keras model.

    The SavedModel is loaded by TensorFlow's C++ loader in a fresh process and answers
    all rows in one batch, and some rows one by one; the Keras model is called eagerly
    on all rows at once. So an answer must not depend on the rest of its batch either,
    which a server puts together from the requests of many clients.

    Probabilities may differ by 1e-6, other outputs by 1e-5 of their size. A graph with
    bfloat16 or float16 operations rounds elsewhere than the eager model does, since the
    graph optimizer fuses operations. How much that matters depends on the model, so it
    is measured: such outputs may differ by twice the largest error that half precision
    makes on these rows (beside the same weights in float32), and by one rounding. That
    is 0.1, or a tenth of the output's size, at most: a model that half precision upsets
    more than that is not worth serving. A watch time e^z may differ by that share of
    itself, as an error of z makes it.

    Args:
        folder: folder of the SavedModel.
        model: the Keras model.
        schema: its schema.
        preprocessor: `SchemaPreprocessor` of the schema.
        rows: raw rows.
        timeout: float. Seconds for the fresh process.
        recommending: of a `NextItemModel`: what it recommends. Defaults to `None`.

    Returns:
        dict for the manifest: rows, batch sizes, tolerances by output, and the largest
        difference by signature and output.

    Raises:
        RuntimeError: if the SavedModel fails, or differs by more than the tolerance;
            the row that differs most is shown.
    """
    graph = saved_model_pb2.SavedModel.FromString(
        (folder / "saved_model.pb").read_bytes()
    ).meta_graphs[0]
    last = len(rows) - 1
    middle = np.linspace(1, last - 1, NUM_SINGLE_ROWS - 2).astype(int).tolist()
    single = sorted({0, *middle, last})  # with the rows that hold nothing known
    slices = [slice(0, len(rows)), *(slice(i, i + 1) for i in single)]
    work = [
        (p, rows_of) for p in signature_plan(schema, recommending) for rows_of in slices
    ]
    serialized = rows.examples(0, len(rows))
    requests = [
        _request(graph.signature_def[planned.key], planned, rows, serialized, rows_of)
        for planned, rows_of in work
    ]
    with FreshProcess(folder, requests, timeout) as process:
        arrays = rows.arrays(0, len(rows))
        raw = {name: tf.constant(a) for name, a in arrays.items()}
        next_items: NextItemReference | None = None
        rounding, noise = _rounding(graph), {}
        if recommending is not None:
            with tf.device("CPU"):
                next_items = NextItemReference(
                    model, schema, preprocessor, raw, recommending
                )
            reference = _finite(next_items.outputs, model, rows)
        else:
            inputs = preprocessor(raw)
            reference = _finite(_outputs(model, inputs), model, rows)
            if rounding:
                noise = _noise(model, inputs, reference, schema)
        answers = process.results()

    tolerances = {
        name: _tolerance(name, schema, rounding, noise.get(name, 0.0))
        for name in reference
    }
    differences: dict[str, dict[str, float]] = {}
    worst = None
    for (planned, rows_of), answer in zip(work, answers, strict=True):
        names = graph.signature_def[planned.key].outputs
        largest = differences.setdefault(planned.key, {})
        for name, got in zip(names, answer, strict=True):
            compared = name
            if next_items is not None and name == "items":
                got, compared = next_items.scores_of(got, rows_of), "scores"
            elif next_items is not None and name == "scores":
                got = next_items.with_nothing(got)
            expected, tolerance = _expected(planned, compared, reference, tolerances)
            found = Comparison.of(got, expected, rows_of, tolerance)
            largest[name] = max(largest.get(name, 0.0), found.difference)
            if worst is None or found.ratio > worst[0].ratio:
                worst = (found, planned.key, name)
    if worst is not None and worst[0].ratio > 1:
        raise RuntimeError(_report(*worst, rows))
    return {
        "loader": "TF_LoadSessionFromSavedModel",
        "rows": len(rows),
        "batch_sizes": [len(rows), 1],
        "tolerances": {n: dataclasses.asdict(t) for n, t in tolerances.items()},
        "largest_differences": differences,
    }


def _request(signature, planned, rows, serialized, rows_of: slice) -> Request:
    if planned.examples_input is None:
        arrays = rows.arrays(rows_of.start, rows_of.stop)
    else:
        arrays = {planned.examples_input: serialized[rows_of]}
    return Request(
        feeds={signature.inputs[name].name: array for name, array in arrays.items()},
        fetches=[info.name for info in signature.outputs.values()],
    )


def _outputs(model, inputs) -> dict[str, np.ndarray]:
    """What a Keras model answers, on the CPU as in the fresh process."""
    with tf.device("CPU"):
        outputs = model(inputs, training=False)
        return {name: as_float32(value).numpy() for name, value in outputs.items()}


def _finite(reference, model, rows: RawRows) -> dict[str, np.ndarray]:
    """The reference, or an error that names the row without one."""
    for name, value in reference.items():
        bad = _bad_rows(value)
        if bad.any():
            row = int(np.argmax(bad))
            raise RuntimeError(
                f"Output '{name}' of model '{model.name}' is not finite in {bad.sum()} "
                f"of {len(rows)} rows, so nothing was published. The first: "
                f"{rows.describe(row)}. Did the training diverge?"
            )
    return reference


def _bad_rows(value: np.ndarray) -> np.ndarray:
    if value.dtype.kind != "f":
        return np.zeros(len(value), bool)
    return ~np.isfinite(value).reshape(len(value), -1).all(axis=1)


def _rounding(graph) -> float:
    """Relative error of one rounding to the coarsest type that a graph computes in."""
    found = [0.0]
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            for attribute in node.attr.values():
                found.append(_ROUNDING.get(attribute.type, 0.0))
    return max(found)


def _noise(model, inputs, reference, schema: Schema) -> dict[str, float]:
    """The largest error of half precision by output, as far as it is tolerated."""
    exact = _outputs(float32_twin(model), inputs)
    noise = {}
    for name, value in reference.items():
        if value.dtype.kind == "f":
            task, error = schema.tasks.get(name), np.abs(value - exact[name])
            size = root_mean_square(value)
            if task in ("binary", "watch_time"):
                size = 1.0
            if task == "watch_time":
                error /= value
            noise[name] = min(float(error.max()), _MOST_NOISE * size)
    return noise


def _tolerance(name: str, schema: Schema, rounding: float, noise: float) -> Tolerance:
    if schema.tasks.get(name) == "binary":
        return Tolerance(PROBABILITY_TOLERANCE + 2 * noise, rounding)
    if schema.tasks.get(name) == "watch_time":
        return Tolerance(_FLOAT32_NOISE, RELATIVE_TOLERANCE + rounding + 2 * noise)
    return Tolerance(_FLOAT32_NOISE + 2 * noise, RELATIVE_TOLERANCE + rounding)


def _expected(
    planned: PlannedSignature,
    output: str,
    reference: Mapping[str, np.ndarray],
    tolerances: Mapping[str, Tolerance],
) -> tuple[np.ndarray, Tolerance]:
    """What an output of a signature must be for all rows."""
    if planned.label is None:
        return reference[output], tolerances[output]
    value = reference[planned.label]  # (B, 1)
    if output == "scores":
        value = np.concatenate([1 - value, value], axis=1)  # (B, 2)
    elif output == "classes":
        names = np.array([name.encode() for name in CLASSES], object)
        value = np.tile(names, (len(value), 1))  # (B, 2)
    return value, tolerances[planned.label]


def _report(found: Comparison, key: str, output: str, rows: RawRows) -> str:
    batch_size = found.rows_of.stop - found.rows_of.start
    return (
        "The exported model does not answer as the Keras model does, so nothing was "
        f"published. Signature '{key}', output '{output}', at batch size {batch_size}: "
        f"the SavedModel gives {found.got}, the Keras model {found.wanted}, a "
        f"difference of {found.ratio:.3g} times the tolerance. The row: "
        f"{rows.describe(found.row)}. Usual causes: a layer that computes otherwise "
        "when traced; an answer that depends on the rest of the batch; values inside "
        "the network so large that rounding shows (scale the numbers with "
        'NumericFeature(…, transform="zscore")), above all in half precision.'
    )
