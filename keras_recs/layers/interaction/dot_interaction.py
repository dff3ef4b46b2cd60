"""Pairwise dot products of fields."""

import functools

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
        self.built = True

    def call(self, inputs, training=None):
        """Returns the dot products of all pairs."""
        if keras.backend.backend() == "tensorflow":
            # XLA fuses the small products with what picks and spreads the triangle: a
            # quarter of the time. A served model does without.
            return _tensorflow_dots(bool(training))(inputs)
        return _dots(inputs)  # (B, F·(F − 1)/2)

    def compute_output_shape(self, input_shape):
        """`(B, F·(F − 1)/2)`."""
        fields = input_shape[1]
        return (input_shape[0], fields * (fields - 1) // 2)


def _dots(inputs):
    fields = inputs.shape[1]
    row, column = np.tril_indices(fields, k=-1)
    products = ops.matmul(inputs, ops.transpose(inputs, (0, 2, 1)))  # (B, F, F)
    flat = ops.reshape(products, (-1, fields * fields))  # (B, F·F)
    pairs = (row * fields + column).astype("int32")
    return ops.take(flat, pairs, axis=1)  # (B, F·(F − 1)/2)


@functools.cache
def _tensorflow_dots(jit_compile):
    import tensorflow as tf

    @tf.custom_gradient
    def dots(inputs):
        fields = inputs.shape[1]
        row, column = np.tril_indices(fields, k=-1)
        # Where pair (i, j) stands in the output, for both orders; the diagonal has no
        # gradient and points to a zero behind the last pair.
        place = np.full((fields, fields), len(row), "int32")
        place[row, column] = place[column, row] = np.arange(len(row))

        def gradient(upstream):
            padded = tf.pad(upstream, [[0, 0], [0, 1]])
            spread = tf.gather(padded, place.reshape(-1), axis=1)
            spread = tf.reshape(spread, (-1, fields, fields))  # symmetric
            return tf.matmul(spread, inputs)  # (B, F, D)

        return _dots(inputs), gradient

    return tf.function(dots, jit_compile=jit_compile, autograph=False)
