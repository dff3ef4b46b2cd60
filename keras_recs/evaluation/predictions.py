"""Labels and predictions of a data set, side by side."""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any

import keras
import numpy as np

_PREDICTORS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What a model says of a data set, and what is true.

    Attributes:
        labels: dict of label name to float32 `(N,)`.
        scores: dict of output name to float32 `(N,)`.
        weights: dict of label name to float32 `(N,)`; empty where there are none.
        groups: `(N,)` group keys, or `None`.
    """

    labels: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]
    weights: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    groups: np.ndarray | None = None

    @classmethod
    def collect(cls, model: keras.Model, dataset: Any) -> Predictions:
        """Runs a model once over a data set.

        Args:
            model: functional model with dict outputs.
            dataset: batches of `(inputs, labels)`, `(inputs, labels, weights)` or
                `(inputs, labels, weights, groups)`, as `keras_recs.data` makes them.

        Raises:
            ValueError: for a data set without a batch.
        """
        predict = _predictor(model)
        parts: dict[str, list[dict[str, np.ndarray]]] = {"y": [], "p": [], "w": []}
        groups = []
        for batch in dataset:
            inputs, labels, *rest = batch
            truth = _flat(labels)
            parts["p"].append(_flat(predict(inputs)))
            parts["y"].append(truth)
            if rest:
                parts["w"].append(_flat(rest[0]))
            if len(rest) > 1:
                groups.append(np.asarray(rest[1]))
        if not parts["y"]:
            raise ValueError("`dataset` must have at least one batch. Received none.")
        return cls(
            labels=_joined(parts["y"]),
            scores=_joined(parts["p"]),
            weights=_joined(parts["w"]),
            groups=np.concatenate(groups) if groups else None,
        )


def _predictor(model: keras.Model):
    """A function of a batch; under a strategy it runs on this machine alone."""
    if getattr(model, "_distribute_strategy", None) is None:
        return model.predict_on_batch
    import tensorflow as tf

    if model not in _PREDICTORS:
        own: Any = weakref.proxy(model)  # else the function would keep it alive
        _PREDICTORS[model] = tf.function(
            lambda inputs: own(inputs, training=False),
            reduce_retracing=True,
            autograph=False,
        )
    return _PREDICTORS[model]


def _flat(tensors: dict[str, Any]) -> dict[str, np.ndarray]:
    return {
        name: keras.ops.convert_to_numpy(tensor).astype("float32").reshape(-1)
        for name, tensor in tensors.items()
    }


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if not parts:
        return {}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
