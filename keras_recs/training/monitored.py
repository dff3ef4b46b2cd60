"""The metric that chooses an epoch, and a trial."""

from __future__ import annotations

import math
import re

import keras
import numpy as np

from keras_recs.evaluation.evaluate import measure
from keras_recs.evaluation.predictions import Predictions
from keras_recs.schema import Schema
from keras_recs.training.catalogue_metrics import CatalogueMetrics
from keras_recs.training.exact_metrics import logs_of

_ENDINGS: dict[str, tuple[str, ...]] = {
    "max": ("auc", "accuracy", "precision", "recall", "hit_rate", "ndcg", "mrr"),
    "min": ("loss", "mse", "mae", "error", "crossentropy", "mispredicted_watch_time"),
}
_FIRST_METRICS = {"binary": "auc", "regression": "mse", "watch_time": "watch_time_auc"}

_UNKNOWN = "`{0}` must be a metric of an epoch. Received: {0}={1!r}; there are {2}"


def default_monitor(schema: Schema) -> str:
    """Of the first label the AUC, MSE or AUC weighted by watch time, by its task."""
    label = schema.labels[0]
    return f"val_{label.name}_{_FIRST_METRICS[label.task]}"


def direction_of(monitor: str) -> str:
    """Whether more (`"max"`) or less (`"min"`) of a metric is better.

    Raises:
        ValueError: for a metric whose name does not say.
    """
    for mode, endings in _ENDINGS.items():
        if re.sub(r"@\d+$", "", monitor.lower()).endswith(endings):
            return mode
    raise ValueError(
        "`monitor` must be a metric that is better the higher or the lower it is: its "
        f"name must end in one of {sum(_ENDINGS.values(), ())}. Received: "
        f"monitor={monitor!r}"
    )


def check_monitor(
    monitor: str,
    schema: Schema,
    argument: str = "monitor",
    catalogue: CatalogueMetrics | None = None,
) -> None:
    """Raises a `ValueError` for a validation metric that an epoch will not have.

    Those are the metrics of the schema's labels, or what `catalogue` adds.
    """
    two = {name: np.array([0.0, 1.0]) for name in schema.label_names}
    scores = dict(two)
    for label, other in schema.given.items():
        scores[f"{label}_given_{other}"] = two[label]
    groups = None if schema.group_key is None else np.array(["a", "a"])
    known = list(logs_of(measure(Predictions(two, scores, groups=groups), schema)))
    known = known if catalogue is None else catalogue.names
    if monitor.startswith("val_") and monitor not in known:
        raise ValueError(_UNKNOWN.format(argument, monitor, sorted(known)))


class RequireMetric(keras.callbacks.Callback):
    """Stops at the first epoch if the monitored metric is not there.

    An epoch whose training loss is not finite has none: its value becomes NaN, so that
    no such epoch is the best, whatever the metric.
    """

    def __init__(self, monitor):
        super().__init__()
        self.monitor = monitor

    def on_epoch_end(self, epoch, logs=None):
        """Raises a `ValueError` if the metric is not among the logs.

        Args:
            epoch: int.
            logs: dict of the epoch's metrics.
        """
        if self.monitor not in logs:
            raise ValueError(_UNKNOWN.format("monitor", self.monitor, sorted(logs)))
        if not math.isfinite(logs.get("loss", 0.0)):
            logs[self.monitor] = math.nan
