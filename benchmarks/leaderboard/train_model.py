"""One model, one seed, as the published runs were made."""

import time
from typing import Any

import keras
import numpy as np

import keras_recs
from benchmarks.leaderboard.data_sets import DataSet
from benchmarks.leaderboard.settings import Setting

MAX_EPOCHS = 100
LEARNING_RATE = 1e-3
MIN_DELTA = 1e-6


class BestEpoch(keras.callbacks.Callback):
    """Lowers the rate after an epoch that is not better; keeps the best one.

    Args:
        data: whose validation part decides.
        decay: factor of the rate.
        patience: epochs in a row that are not better after which training ends.
    """

    def __init__(self, data: DataSet, decay: float = 0.1, patience: int = 2):
        super().__init__()
        self.data = data
        self.decay = decay
        self.patience = patience
        self.best = -np.inf
        self.weights: Any = None
        self.stale = 0
        self.history: list[float] = []

    def on_epoch_end(self, epoch, logs=None):
        """Measures the exact AUC of the validation part."""
        value, _ = measure(self.model, self.data, "valid")
        self.history.append(round(value, 6))
        if value > self.best + MIN_DELTA:
            self.best, self.stale = value, 0
            self.weights = self.model.get_weights()
            return
        self.stale += 1
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.model.optimizer.learning_rate = rate * self.decay
        self.model.stop_training = self.stale >= self.patience


def measure(model: keras.Model, data: DataSet, split: str) -> tuple[float, float]:
    """AUC and logloss of a part of the data."""
    scores = model.predict(data.inputs[split], batch_size=16384, verbose=0)
    y, p = data.labels[split][:, 0], np.asarray(scores["label"])[:, 0]
    return keras_recs.metrics.auc(y, p), keras_recs.metrics.log_loss(y, p)


def train_model(
    name: str,
    setting: Setting,
    data: DataSet,
    embedding_dim: int,
    batch_size: int,
    seed: int,
) -> dict[str, Any]:
    """Trains a model and returns what it reached.

    Adam at 1e-3 on gradients clipped to a norm of 10.
    """
    keras.utils.set_random_seed(seed)
    arguments = dict(setting.arguments)
    regularizer = keras.regularizers.L2(setting.l2 / 2) if setting.l2 else None
    if (setting.builder or name) == "logistic_regression":
        arguments["kernel_regularizer"] = regularizer
    else:
        arguments["embedding_dim"] = embedding_dim
        arguments["embeddings_regularizer"] = regularizer
        initializer = keras.initializers.RandomNormal(stddev=setting.stddev)
        arguments["embedding_options"] = keras_recs.models.EmbeddingOptions(
            initializer=initializer
        )
    if arguments.get("dropout"):
        arguments["seed"] = seed
    builder = getattr(keras_recs.models, setting.builder or name)
    model = builder(data.schema, **arguments)
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE, epsilon=1e-8, global_clipnorm=10.0),
        loss="binary_crossentropy",
    )
    watcher = BestEpoch(data, setting.decay, setting.patience)
    start = time.perf_counter()
    model.fit(
        data.inputs["train"],
        data.labels["train"],
        batch_size=batch_size,
        epochs=MAX_EPOCHS,
        callbacks=[watcher],
        verbose=0,
    )
    seconds = time.perf_counter() - start
    model.set_weights(watcher.weights)
    auc, logloss = measure(model, data, "test")
    return {
        "auc": round(auc, 6),
        "logloss": round(logloss, 6),
        "valid_auc": watcher.history,
        "epochs": len(watcher.history),
        "seconds": round(seconds, 1),
        "parameters": model.count_params(),
    }
