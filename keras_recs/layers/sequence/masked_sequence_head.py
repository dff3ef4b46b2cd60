"""What a masked place is compared with items by."""

import keras

from keras_recs.register import register


@register
class MaskedSequenceHead(keras.layers.Layer):
    """A dense layer and a normalization; scores are products with the items' table.

    Args:
        activation: Keras activation of the dense layer. Defaults to `"gelu"`.
        epsilon: float. Of the normalization. Defaults to `1e-6`.

    Call arguments:
        inputs: states `(..., D)`.

    Output shape: `(..., D)`, which `ItemTable.score` and `ItemTable.whole` make scores
        of, with the table that the events were read from and a bias an item.

    Example:
    >>> head = keras_recs.layers.MaskedSequenceHead()
    >>> tuple(head(np.ones((2, 3, 4))).shape)
    (2, 3, 4)

    Reference: [Sun et al., 2019](https://arxiv.org/abs/1904.06690):
    softmax(GELU(h W + b) Eᵀ + b_items)
    """

    def __init__(self, activation="gelu", epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self.epsilon = epsilon

    def build(self, input_shape):
        """Creates the dense layer and the normalization."""
        policy = self.dtype_policy
        self.dense = keras.layers.Dense(
            input_shape[-1], self.activation, dtype=policy, name="dense"
        )
        self.dense.build(input_shape)
        self.norm = keras.layers.LayerNormalization(
            epsilon=self.epsilon, dtype=policy, name="norm"
        )
        self.norm.build(input_shape)
        self.built = True

    def call(self, inputs):
        """Returns what is multiplied with the items."""
        return self.norm(self.dense(inputs))

    def compute_output_shape(self, input_shape):
        """As the inputs."""
        return tuple(input_shape)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "activation": keras.activations.serialize(self.activation),
            "epsilon": self.epsilon,
        }
        return {**super().get_config(), **config}
