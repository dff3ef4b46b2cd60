"""The metric that chooses an epoch, and a trial."""

from __future__ import annotations

import math

import keras

from keras_recs.schema import Schema

_ENDINGS: dict[str, tuple[str, ...]] = {
    "max": ("auc", "accuracy", "precision", "recall", "ndcg"),
    "min": ("loss", "mse", "mae", "error", "crossentropy", "mispredicted_watch_time"),
}
_FIRST_METRICS = {"binary": "auc", "regression": "mse", "watch_time": "watch_time_auc"}


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
        if monitor.lower().endswith(endings):
            return mode
    raise ValueError(
        "`monitor` must be a metric that is better the higher or the lower it is: its "
        f"name must end in one of {sum(_ENDINGS.values(), ())}. Received: "
        f"monitor={monitor!r}"
    )


class RequireMetric(keras.callbacks.Callback):
    """Stops at the first epoch if the monitored metric is not there.

    An epoch whose training loss is not finite has none: its value becomes NaN, so that
    no such epoch is the best, as by an AUC of 0.5 where all predictions are NaN.
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
            raise ValueError(
                "`monitor` must be a metric of an epoch. Received: "
                f"monitor={self.monitor!r}; there are {sorted(logs)}"
            )
        if not math.isfinite(logs.get("loss", 0.0)):
            logs[self.monitor] = math.nan
