"""Vectors of places."""

import keras
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.register import register


@register
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector of its place to each event.

    Places count from the last one, which always has the last vector: a history that is
    padded on the left to another length gives the same.

    Args:
        max_length: int. Places that have a vector.
        initializer: Keras initializer. Defaults to `"uniform"`.
        regularizer: Keras regularizer. Defaults to `None`.

    Call arguments:
        inputs: `(B, T, D)` with T of at most `max_length`.

    Output shape: `(B, T, D)`.

    Raises:
        ValueError: for inputs of another rank or that are longer.

    Example:
    >>> layer = keras_recs.layers.PositionEmbedding(5)
    >>> tuple(layer(np.ones((2, 3, 4))).shape)
    (2, 3, 4)
    """

    def __init__(self, max_length, initializer="uniform", regularizer=None, **kwargs):
        super().__init__(**kwargs)
        (self.max_length,) = checked_sizes("max_length", (max_length,))
        self.initializer = keras.initializers.get(initializer)
        self.regularizer = keras.regularizers.get(regularizer)

    def build(self, input_shape):
        """Creates the vectors."""
        self._check(input_shape)
        self.positions = self.add_weight(
            name="positions",
            shape=(self.max_length, input_shape[-1]),
            initializer=self.initializer,
            regularizer=self.regularizer,
        )
        self.built = True

    def call(self, inputs):
        """Returns the sums."""
        self._check(inputs.shape)
        length = ops.shape(inputs)[1]
        positions = ops.convert_to_tensor(self.positions)  # (max, D)
        last = positions[self.max_length - length :]
        # Of a length known only when it runs: one vector would be added to all places.
        return inputs + ops.reshape(last, (length, inputs.shape[-1]))

    def compute_output_shape(self, input_shape):
        """As the inputs."""
        return tuple(input_shape)

    def _check(self, shape):
        if len(shape) != 3 or (shape[1] or 0) > self.max_length:
            raise ValueError(
                f"The inputs of PositionEmbedding must be (batch, time, dim), of at "
                f"most {self.max_length} places. Received: shape={tuple(shape)}"
            )

    def get_config(self):
        """Constructor arguments."""
        config = {
            "max_length": self.max_length,
            "initializer": keras.initializers.serialize(self.initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
        }
        return {**super().get_config(), **config}
