"""Exact validation metrics at the end of each epoch."""

import keras

from keras_recs.evaluation.evaluate import evaluate


class ExactMetrics(keras.callbacks.Callback):
    """Adds `val_<label>_<metric>` to the logs of each epoch.

    Put it before callbacks that monitor these, such as `EarlyStopping`.

    Args:
        dataset: validation batches, as `keras_recs.data` makes them.
        schema: `keras_recs.Schema`.
        prefix: string. Defaults to `"val_"`.

    Example: `ExactMetrics(valid, schema)` makes `val_click_auc`, `val_click_log_loss`,
    `val_click_gauc` (where the data set yields groups) and the rest of
    `keras_recs.evaluation.evaluate`.
    """

    def __init__(self, dataset, schema, prefix="val_"):
        super().__init__()
        self.dataset = dataset
        self.schema = schema
        self.prefix = prefix

    def on_epoch_end(self, epoch, logs=None):
        """Evaluates the model and extends the logs."""
        results = evaluate(self.model, self.dataset, self.schema)
        logs.update(logs_of(results, self.prefix))


def logs_of(results, prefix="val_"):
    """What `evaluate` returns, without what is of the data, by the name in the logs."""
    return {
        f"{prefix}{label}_{name}": value
        for label, values in results.items()
        for name, value in values.items()
        if name not in ("examples", "positive_rate")
    }
