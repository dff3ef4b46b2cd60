"""Embeddings of numbers."""

import keras
from keras import ops

from keras_recs.layers.checked_regularizer import checked_regularizer
from keras_recs.register import register


@register
class NumericEmbedding(keras.layers.Layer):
    """Embeds each number as x·v, as a factorization machine reads a real value.

    Args:
        embedding_dim: int. Length of the vectors.
        embeddings_initializer: Keras initializer. Defaults to `"uniform"`.
        embeddings_regularizer: strength of a `BatchL2`, or Keras regularizer. Defaults
            to `None`.

    Input shape: `(B, N)`.
    Output shape: `(B, N, D)`.

    Example:
    >>> layer = keras_recs.layers.NumericEmbedding(4)
    >>> tuple(layer(np.ones((2, 3))).shape)
    (2, 3, 4)

    Reference: [Rendle, 2010](https://ieeexplore.ieee.org/document/5694074), where
    feature i contributes x_i·v_i.
    """

    def __init__(
        self,
        embedding_dim,
        embeddings_initializer="uniform",
        embeddings_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.embedding_dim = embedding_dim
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.embeddings_regularizer = checked_regularizer(
            "embeddings_regularizer", embeddings_regularizer
        )

    def build(self, input_shape):
        """Creates one vector a feature."""
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(input_shape[-1], self.embedding_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
        )
        self.built = True

    def call(self, inputs):
        """Returns the scaled vectors."""
        return ops.expand_dims(inputs, -1) * self.embeddings  # (B, N, D)

    def compute_output_shape(self, input_shape):
        """`(B, N, D)`."""
        return (*input_shape, self.embedding_dim)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "embedding_dim": self.embedding_dim,
            "embeddings_initializer": keras.initializers.serialize(
                self.embeddings_initializer
            ),
            "embeddings_regularizer": keras.regularizers.serialize(
                self.embeddings_regularizer
            ),
        }
        return {**super().get_config(), **config}
