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
    have `examples`.

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
        y = predictions.labels[label.name]
        p = predictions.scores[label.name]
        w = predictions.weights.get(label.name)
        if label.task == "binary":
            values = {
                "auc": metrics.auc(y, p, w),
                "log_loss": metrics.log_loss(y, p, w),
                "calibration_ratio": metrics.calibration_ratio(y, p, w),
                "expected_calibration_error": metrics.expected_calibration_error(y, p),
                "positive_rate": _mean(y, w),
            }
            if predictions.groups is not None:
                values["gauc"] = metrics.gauc(y, p, predictions.groups)
        else:
            error = y.astype("float64") - p
            values = {
                "mse": _mean(error**2, w),
                "mae": _mean(np.abs(error), w),
            }
        if label.task == "watch_time":
            values |= _of_watch_times(y, p, w, predictions.groups)
        results[label.name] = {**values, "examples": len(y)}
    return results


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
