"""Pooling of the embeddings of a multi-valued feature."""

import keras
from keras import ops


def pool(values, mask, combiner, weights=None):
    """Combines the values that are there; none give zeros.

    Args:
        values: `(B, L, D)`.
        mask: bool `(B, L)`, true where a value is there.
        combiner: `"mean"`, `"sum"`, `"sqrtn"` or `"max"`. With weights w these are
            Σwv / Σw, Σwv, Σwv / √Σw²; without, w is 1.
        weights: `(B, L)` or `None`. One that is not finite counts as 0. Ignored for
            `"max"`.

    Returns:
        `(B, D)`.
    """
    there = ops.cast(mask, values.dtype)  # (B, L)
    if combiner == "max":
        # A finite stand-in: minus infinity times zero would be NaN.
        half = keras.backend.standardize_dtype(values.dtype) == "float16"
        lowest = -6e4 if half else -1e9
        masked = ops.where(ops.expand_dims(mask, -1), values, lowest)
        any_there = ops.any(mask, axis=1, keepdims=True)  # (B, 1)
        return ops.max(masked, axis=1) * ops.cast(any_there, values.dtype)
    if weights is not None:
        weights = ops.cast(weights, "float32")  # whose squares half precision lacks
        known = ops.logical_and(mask, ops.isfinite(weights))
        there = ops.where(known, weights, 0.0)
    if combiner != "sum":
        there = ops.cast(there, "float32")
        total = ops.square(there) if combiner == "sqrtn" else there
        scale = ops.sum(total, axis=1, keepdims=True)  # (B, 1)
        scale = ops.sqrt(scale) if combiner == "sqrtn" else scale
        there = ops.where(scale == 0, 0.0, there / ops.where(scale == 0, 1.0, scale))
    there = ops.cast(there, values.dtype)
    return ops.sum(values * ops.expand_dims(there, -1), axis=1)  # (B, D)
