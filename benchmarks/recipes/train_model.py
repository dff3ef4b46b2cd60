"""One small model, trained and measured."""

import time
from typing import Any

import keras
import numpy as np

from keras_recs import metrics
from keras_recs.data import array_dataset

BATCH_SIZE = 2048
LEARNING_RATE = 2e-3


def train_model(model, batches, schema, parts, epochs, correct=None) -> dict[str, Any]:
    """Trains for some epochs and measures the one with the best AUC on `valid`.

    Args:
        model: Keras model, not compiled.
        batches: training batches.
        schema: the schema of `parts`.
        parts: dict of name to raw columns; `valid` among them chooses the epoch.
        epochs: int.
        correct: function of the trained model that gives the model to measure.

    Returns:
        dict with `valid_auc` by epoch, `epoch`, `seconds` of training, and for each
        part but `valid` AUC, logloss and calibration ratio.
    """
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss="binary_crossentropy")
    measured = {
        name: list(array_dataset(part, schema, 16384, shuffle=False))
        for name, part in parts.items()
    }
    best, weights, seconds, history = -1.0, None, [], []
    for _ in range(epochs):
        start = time.perf_counter()
        model.fit(batches, epochs=1, shuffle=False, verbose=0)
        seconds.append(time.perf_counter() - start)
        history.append(_scores(model, measured["valid"])["auc"])
        if history[-1] > best:
            best, weights = history[-1], model.get_weights()
    model.set_weights(weights)
    if correct is not None:
        model = correct(model)
    result = {
        "valid_auc": [round(value, 5) for value in history],
        "epoch": int(np.argmax(history)) + 1,
        # The first epoch traces.
        "seconds_per_epoch": round(float(np.median(seconds[1:] or seconds)), 2),
    }
    for name, part in measured.items():
        if name != "valid":
            scores = _scores(model, part)
            result[name] = {key: round(value, 5) for key, value in scores.items()}
    return result


def _scores(model, batches) -> dict[str, float]:
    p = np.concatenate(
        [
            np.asarray(model.predict_on_batch(batch[0])["label"])[:, 0]
            for batch in batches
        ]
    )
    y = np.concatenate([np.asarray(batch[1]["label"])[:, 0] for batch in batches])
    return {
        "auc": metrics.auc(y, p),
        "logloss": metrics.log_loss(y, p),
        "calibration": metrics.calibration_ratio(y, p),
    }
