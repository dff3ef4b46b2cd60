"""Scaled dot-product attention with a mask."""

import keras
from keras import ops

from keras_recs.layers.sequence.masked_softmax import LOWEST


def attend(query, key, value, mask, dropout=None, training=None):
    """Weighs values by how well their keys fit a query.

    Without dropout the backend's own attention computes it, a flash kernel where there
    is one.

    Args:
        query: `(B, T, A, D)` of A heads.
        key: `(B, S, A, D)`.
        value: `(B, S, A, D)`.
        mask: bool `(B, T, S)`, true where a query sees a key.
        dropout: `keras.layers.Dropout` of the weights, or `None`.
        training: bool or `None`.

    Returns:
        `(B, T, A, D)`. A query that sees no key gives zeros.
    """
    sees_any = ops.any(mask, axis=-1)[:, :, None, None]  # (B, T, 1, 1)
    if dropout is None or not dropout.rate or not training:
        mask = ops.expand_dims(mask, 1)  # (B, 1, T, S)
        output = ops.dot_product_attention(query, key, value, mask=mask)
    else:
        scale = float(query.shape[-1]) ** -0.5
        scores = ops.einsum("btad,bsad->bats", query * scale, key)  # (B, A, T, S)
        hidden = (1.0 - ops.cast(mask, "float32")) * LOWEST  # (B, T, S)
        scores = ops.cast(scores, "float32") + ops.expand_dims(hidden, 1)
        weights = ops.cast(ops.softmax(scores, axis=-1), value.dtype)
        weights = dropout(weights, training=training)
        output = ops.einsum("bats,bsad->btad", weights, value)  # (B, T, A, D)
    return ops.where(sees_any, output, keras.ops.zeros_like(output))
