"""Which features a tensor within a model holds."""

from __future__ import annotations

import math
from typing import Any

import keras

from keras_recs.layers import (
    FeatureEmbedding,
    FieldAttention,
    InterestExtractor,
    NumericEmbedding,
)

# Operations that keep what lies where.
SAME = {
    "Activation",
    "BatchNorm",
    "BatchNormalization",
    "Cast",
    "Dropout",
    "ExpandDims",
    "Flatten",
    "Identity",
    "LayerNormalization",
    "Reshape",
}
JOINS = {"Concatenate", "Stack"}


def named_fields(tensor: Any) -> list[tuple[str, int]]:
    """Names the fields of a symbolic tensor by walking back to where they come from.

    Args:
        tensor: symbolic `(B, F, D)` or `(B, N)` of a functional model.

    Returns:
        Pairs of a name and how many numbers the field has; together as many as an
        example of the tensor. What comes from other layers than embeddings, inputs
        and what joins them has the layer's name.
    """
    operation, node_index, tensor_index = tensor._keras_history
    node = operation._inbound_nodes[node_index]
    parents = node.input_tensors
    kind = type(operation).__name__
    rank = len(tensor.shape)
    size = math.prod(tensor.shape[1:])
    if isinstance(operation, FeatureEmbedding) and tensor_index == 0:
        return [(name, tensor.shape[-1]) for name in operation.field_names]
    if isinstance(operation, (FieldAttention, NumericEmbedding)):
        below = named_fields(parents[0])
        if len(below) == tensor.shape[1]:  # one field of the output for each
            return [(name, tensor.shape[-1]) for name, _ in below]
    if kind in SAME and math.prod(parents[0].shape[1:]) == size:
        return named_fields(parents[0])
    if kind in JOINS and operation.axis in (1, -1 if rank == 2 else 1):
        return [field for parent in parents for field in named_fields(parent)]
    # An input's tensor has its feature's name.
    is_input = isinstance(operation, keras.layers.InputLayer)
    name = tensor.name if is_input else operation.name
    if rank == 3 and tensor.shape[1] > 1:
        rows = range(tensor.shape[1])
        return [(f"{name}[{row}]", tensor.shape[2]) for row in rows]
    return [(name, size)]


def named_events(tensor: Any) -> list[str]:
    """Names the sequence features that a symbolic tensor `(B, T, D)` holds.

    Args:
        tensor: of a functional model: a sequence from `FeatureEmbedding`, several side
            by side, or the states of an `InterestExtractor` over them. What comes from
            other layers has the layer's name.
    """
    operation, node_index, tensor_index = tensor._keras_history
    parents = operation._inbound_nodes[node_index].input_tensors
    kind = type(operation).__name__
    if isinstance(operation, FeatureEmbedding) and tensor_index > 0:
        names = [n for n in operation.features if n not in operation.field_names]
        return [keras.tree.flatten({n: n for n in names})[tensor_index - 1]]
    is_state = isinstance(operation, InterestExtractor)  # one of each event
    if is_state or (kind in SAME and parents[0].shape == tensor.shape):
        return named_events(parents[0])
    if kind == "Concatenate" and operation.axis in (-1, 2):
        return [name for parent in parents for name in named_events(parent)]
    return [operation.name]
