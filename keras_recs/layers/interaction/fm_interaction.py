"""Factorization-machine interaction."""

import keras
from keras import ops

from keras_recs.register import register


@register
class FMInteraction(keras.layers.Layer):
    """Second-order factorization-machine term.

    Sums the inner products of all pairs of field embeddings in O(F·D):
    ½ Σ_D[(Σ_f v)² − Σ_f v²]. The layer works in float32 whatever the global policy: its
    output is a logit, and squares soon exceed float16.

    Args:
        keep_dim: bool. Return the `(B, D)` bi-interaction vector instead of the
            `(B, 1)` logit. Defaults to `False`.

    Input shape: `(B, F, D)`.
    Output shape: `(B, 1)`, or `(B, D)` with `keep_dim`.

    Raises:
        ValueError: if the input is not of rank 3.

    Example:
    >>> layer = keras_recs.layers.FMInteraction()
    >>> tuple(layer(np.ones((2, 3, 4))).shape)
    (2, 1)

    Reference: [Rendle, 2010](https://ieeexplore.ieee.org/document/5694074)
    """

    def __init__(self, keep_dim=False, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.keep_dim = keep_dim

    def build(self, input_shape):
        """Checks the shape; there are no weights."""
        if len(input_shape) != 3:
            raise ValueError(
                "The input of FMInteraction must have shape (batch, fields, dim). "
                f"Received: shape={tuple(input_shape)}"
            )
        self.built = True

    def call(self, inputs):
        """Returns the interaction of all pairs."""
        square_of_sum = ops.square(ops.sum(inputs, axis=1))  # (B, D)
        sum_of_square = ops.sum(ops.square(inputs), axis=1)  # (B, D)
        pairs = 0.5 * (square_of_sum - sum_of_square)  # (B, D)
        return pairs if self.keep_dim else ops.sum(pairs, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape):
        """`(B, 1)` or `(B, D)`."""
        return (input_shape[0], input_shape[2] if self.keep_dim else 1)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "keep_dim": self.keep_dim}
