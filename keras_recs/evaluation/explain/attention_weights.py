"""The attention weights of a model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_recs.evaluation.explain.attention import Attention
from keras_recs.evaluation.explain.held_examples import HeldExamples
from keras_recs.evaluation.explain.layer_calls import layer_calls, run_to
from keras_recs.evaluation.explain.named_fields import named_events, named_fields
from keras_recs.layers import BilinearAttention, FieldAttention, TargetAttention


def attention_weights(
    model: keras.Model, dataset: Any, max_examples: int = 1_000
) -> dict[str, Attention]:
    """Computes the weights of a model's attention layers, as in inference.

    These are `FieldAttention` between fields, `TargetAttention` and `BilinearAttention`
    to a history. Weights of a `TargetAttention` without softmax need not sum to 1 and
    may be negative. An attention weight says what a layer reads, not what the
    prediction would be without it: see `permutation_importance` for that.

    Args:
        model: functional model with such layers at its top level.
        dataset: batches whose first element is the dict of inputs, or one such dict.
        max_examples: int. The data set's first examples are used, at most so many.
            Defaults to `1_000`.

    Returns:
        dict of layer name to `Attention`, in the order of the layers.

    Raises:
        ValueError: for a model that is not functional, one without such a layer, or a
            data set without a batch.
    """
    kinds = (FieldAttention, TargetAttention, BilinearAttention)
    calls = layer_calls(model, kinds)
    examples = HeldExamples.collect(dataset, max_examples)
    tensors = {name: inputs for name, (_, inputs) in calls.items()}
    weights: dict[str, list[np.ndarray]] = {name: [] for name in calls}
    masks: dict[str, list[np.ndarray]] = {name: [] for name in calls}
    for arrays in run_to(model, tensors, examples):
        for name, (layer, _) in calls.items():
            inputs = arrays[name]
            if isinstance(layer, BilinearAttention):
                found = layer(inputs)
            else:
                _, found = layer(inputs, training=False, return_attention_scores=True)
            found = keras.ops.convert_to_numpy(found).astype("float32")
            weights[name].append(found)
            if not isinstance(layer, FieldAttention):
                there = np.ones(found.shape, "bool")
                masks[name].append(inputs[2].astype("bool") if inputs[2:] else there)
    return {
        name: Attention(
            weights=np.concatenate(weights[name]),
            fields=_fields(layer, inputs),
            mask=np.concatenate(masks[name]) if masks[name] else None,
        )
        for name, (layer, inputs) in calls.items()
    }


def _fields(layer, inputs) -> tuple[str, ...]:
    if isinstance(layer, FieldAttention):
        return tuple(name for name, _ in named_fields(inputs))
    return tuple(named_events(inputs[1]))
