"""Softmax over what is there."""

from keras import ops

LOWEST = -1e9


def masked_softmax(scores, mask):
    """Softmax over the last axis, in float32.

    Args:
        scores: `(B, T)`.
        mask: bool `(B, T)`, true where a score counts.

    Returns:
        float32 `(B, T)`: exactly 0 where the mask is false. A row without any score
        gives zeros.
    """
    there = ops.cast(mask, "float32")
    scores = ops.cast(scores, "float32") + (1.0 - there) * LOWEST
    return ops.softmax(scores, axis=-1) * there
