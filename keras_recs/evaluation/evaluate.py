"""All metrics of a model on a data set."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_recs import metrics
from keras_recs.evaluation.predictions import Predictions
from keras_recs.models.check_tables import check_tables
from keras_recs.schema import Schema


def evaluate(
    model: keras.Model, dataset: Any, schema: Schema
) -> dict[str, dict[str, float]]:
    """Measures each label of a model, exactly.

    Binary labels: `auc`, `log_loss`, `calibration_ratio`,
    `expected_calibration_error`, `positive_rate` and, where the data set yields group
    keys (`with_group=True`), `gauc`. Regression labels: `mse` and `mae`. Watch times:
    both of these; `calibration_ratio`, which exceeds 1 by little where few impressions
    were watched (see `WeightedLogisticLoss`); `auc` (watched or not) and
    `watch_time_auc`, in which what was watched weighs its time; `positive_rate`, the
    share that was watched; with group keys `gauc` and `mispredicted_watch_time`. All
    have `examples`, which for an optional label are those that have it.

    Where the model says how probable a label is given another one, as `esmm` does,
    there are the metrics of a binary label under that name, `"conversion_given_click"`,
    on the examples where the other is 1.

    Args:
        model: functional model with dict outputs.
        dataset: batches as `tfrecord_dataset` or `array_dataset` yields them.
        schema: `keras_recs.Schema`.

    Returns:
        dict of label name to dict of metric name to float.

    Raises:
        ValueError: for a data set without a batch, and a schema of another fit than
            the model's.
    """
    check_tables(model, schema)
    return measure(Predictions.collect(model, dataset), schema)


def measure(predictions: Predictions, schema: Schema) -> dict[str, dict[str, float]]:
    """Metrics of predictions already made; see `evaluate`."""
    results = {}
    for label in schema.labels:
        w = predictions.weights.get(label.name)
        rows = w > 0 if label.optional and w is not None else None
        results[label.name] = _of_task(
            predictions, label.name, label.name, label.task, rows
        )
    optional = {label.name: label.optional for label in schema.labels}
    for name, other in schema.given.items():
        score = f"{name}_given_{other}"
        if score in predictions.scores:
            rows = predictions.labels[other] == 1
            w = predictions.weights.get(name)
            if optional[name] and w is not None:
                rows &= w > 0
            results[score] = _of_task(predictions, name, score, "binary", rows)
    return results


def _of_task(predictions, label, score, task, rows) -> dict[str, float]:
    """Metrics of one score against one label, of all rows or some."""

    def chosen(values):
        return values if values is None or rows is None else values[rows]

    y, p = chosen(predictions.labels[label]), chosen(predictions.scores[score])
    w, groups = chosen(predictions.weights.get(label)), chosen(predictions.groups)
    if not len(y):
        return {"examples": 0}
    if task == "binary":
        values = {
            "auc": metrics.auc(y, p, w),
            "log_loss": metrics.log_loss(y, p, w),
            "calibration_ratio": metrics.calibration_ratio(y, p, w),
            "expected_calibration_error": metrics.expected_calibration_error(y, p),
            "positive_rate": _mean(y, w),
        }
        if groups is not None:
            values["gauc"] = metrics.gauc(y, p, groups)
    else:
        error = y.astype("float64") - p
        values = {"mse": _mean(error**2, w), "mae": _mean(np.abs(error), w)}
    if task == "watch_time":
        values |= _of_watch_times(y, p, w, groups)
    return {**values, "examples": len(y)}


def _of_watch_times(y, p, w, groups) -> dict[str, float]:
    watched = (y > 0).astype("float32")
    times = np.where(y > 0, y, 1) * (1 if w is None else w)
    values = {
        "calibration_ratio": metrics.calibration_ratio(y, p, w),
        "auc": metrics.auc(watched, p, w),
        "watch_time_auc": metrics.auc(watched, p, times),
        "positive_rate": _mean(watched, w),
    }
    if groups is not None:
        values["gauc"] = metrics.gauc(watched, p, groups)
        values["mispredicted_watch_time"] = metrics.mispredicted_watch_time(
            y, p, groups
        )
    return values


def _mean(values: np.ndarray, weights: np.ndarray | None) -> float:
    if weights is not None and not weights.any():
        return float("nan")
    return float(np.average(values, weights=weights))
