"""Pairwise dot products of fields."""

import keras
import numpy as np
from keras import ops

from keras_recs.register import register


@register
class DotInteraction(keras.layers.Layer):
    """Dot products of all pairs of fields: the strict lower triangle of T·Tᵀ.

    Pair (i, j), i > j, comes in row order: (1, 0), (2, 0), (2, 1), …

    Input shape: `(B, F, D)`.
    Output shape: `(B, F·(F − 1)/2)`.

    Raises:
        ValueError: if the input is not of rank 3 or has fewer than two fields.

    Example:
    >>> layer = keras_recs.layers.DotInteraction()
    >>> tuple(layer(np.ones((2, 4, 8))).shape)
    (2, 6)

    Reference: [Naumov et al., 2019](https://arxiv.org/abs/1906.00091)
    """

    def build(self, input_shape):
        """Checks the shape; there are no weights."""
        if len(input_shape) != 3 or input_shape[1] is None or input_shape[1] < 2:
            raise ValueError(
                "The input of DotInteraction must have shape (batch, fields, dim) with "
                f"two fields or more. Received: shape={tuple(input_shape)}"
            )
        fields = input_shape[1]
        row, column = np.tril_indices(fields, k=-1)
        self._pairs = (row * fields + column).astype("int32")
        self.built = True

    def call(self, inputs):
        """Returns the dot products of all pairs."""
        fields = inputs.shape[1]
        products = ops.matmul(inputs, ops.transpose(inputs, (0, 2, 1)))  # (B, F, F)
        flat = ops.reshape(products, (-1, fields * fields))  # (B, F·F)
        return ops.take(flat, self._pairs, axis=1)  # (B, F·(F − 1)/2)

    def compute_output_shape(self, input_shape):
        """`(B, F·(F − 1)/2)`."""
        fields = input_shape[1]
        return (input_shape[0], fields * (fields - 1) // 2)
