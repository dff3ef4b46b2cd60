"""Pooling of the embeddings of a multi-valued feature."""

import keras
from keras import ops


def pool(values, mask, combiner):
    """Combines the values that are there; none give zeros.

    Args:
        values: `(B, L, D)`.
        mask: bool `(B, L)`, true where a value is there.
        combiner: `"mean"`, `"sum"`, `"sqrtn"` (sum over √count) or `"max"`.

    Returns:
        `(B, D)`.
    """
    weights = ops.expand_dims(ops.cast(mask, values.dtype), -1)  # (B, L, 1)
    count = ops.sum(weights, axis=1)  # (B, 1)
    if combiner == "max":
        # A finite stand-in: minus infinity times zero would be NaN.
        half = keras.backend.standardize_dtype(values.dtype) == "float16"
        lowest = -6e4 if half else -1e9
        there = ops.where(ops.expand_dims(mask, -1), values, lowest)
        return ops.max(there, axis=1) * ops.cast(count > 0, values.dtype)
    total = ops.sum(values * weights, axis=1)  # (B, D)
    if combiner == "sum":
        return total
    count = ops.maximum(count, 1)
    return total / (ops.sqrt(count) if combiner == "sqrtn" else count)
