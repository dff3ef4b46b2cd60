"""One mixture of experts."""

import keras
from keras import ops

from keras_recs.layers.multi_task.multi_gate import MultiGate
from keras_recs.register import register


@register
class ExpertGate(keras.layers.Layer):
    """Mixes experts once, by a gate that reads the input.

    Args:
        kernel_regularizer: Keras regularizer. Defaults to `None`.

    Call arguments:
        inputs: pair of what the gate reads, `(B, N)`, and the experts `(B, E, H)`.

    Output shape: `(B, H)`.

    Example:
    >>> gate = keras_recs.layers.ExpertGate()
    >>> tuple(gate([np.ones((3, 6)), np.ones((3, 4, 5))]).shape)
    (3, 5)

    Reference: [Jacobs et al., 1991](https://doi.org/10.1162/neco.1991.3.1.79):
    f(x) = Σ_i softmax(W x)_i f_i(x)
    """

    def __init__(self, kernel_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        """Creates the matrix of the gate."""
        self.gate = MultiGate(
            1,
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name="gate",
        )
        self.gate.build(input_shape)
        self.built = True

    def call(self, inputs):
        """Returns the mixture."""
        return ops.squeeze(self.gate(inputs), axis=1)  # (B, H)

    def weigh(self, selector):
        """What the gate gives to each expert, float32 `(B, E)`."""
        return ops.squeeze(self.gate.weigh(selector), axis=1)

    def compute_output_shape(self, input_shape):
        """`(B, H)`."""
        experts = input_shape[1]
        return (experts[0], experts[2])

    def get_config(self):
        """Constructor arguments."""
        regularizer = keras.regularizers.serialize(self.kernel_regularizer)
        return {**super().get_config(), "kernel_regularizer": regularizer}
