"""A cross layer of the first DCN."""

import keras
from keras import ops

from keras_recs.layers.interaction.checked_pair import checked_pair
from keras_recs.register import register


@register
class VectorCrossLayer(keras.layers.Layer):
    """Multiplies the features with one number, a weighted sum of the layer below.

    Args:
        kernel_initializer: Keras initializer of the weights. Defaults to
            `"glorot_uniform"`.
        kernel_regularizer: Keras regularizer of the weights. Defaults to `None`.

    Call arguments:
        inputs: pair of the features x₀ and the output x of the layer below (for the
            first layer x₀ again), both `(B, N)`.

    Output shape: `(B, N)`.

    Raises:
        ValueError: for inputs that are not a pair of one shape.

    Example:
    >>> x = np.ones((2, 6))
    >>> tuple(keras_recs.layers.VectorCrossLayer()([x, x]).shape)
    (2, 6)

    Reference: [Wang et al., 2017](https://arxiv.org/abs/1708.05123):
    x_{l+1} = x₀ (x_lᵀ w) + b + x_l
    """

    def __init__(
        self, kernel_initializer="glorot_uniform", kernel_regularizer=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        """Creates the weights and the bias."""
        features = checked_pair(input_shape, "VectorCrossLayer")
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features, 1),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        self.bias = self.add_weight(name="bias", shape=(features,), initializer="zeros")
        self.built = True

    def call(self, inputs):
        """Returns x₀ (xᵀ w) + b + x."""
        x0, x = inputs
        weight = ops.matmul(x, self.kernel)  # (B, 1)
        return x0 * weight + self.bias + x  # (B, N)

    def compute_output_shape(self, input_shape):
        """As each input."""
        return tuple(input_shape[1])

    def get_config(self):
        """Constructor arguments."""
        config = {
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
        return {**super().get_config(), **config}
