"""Mixtures of experts, one a task."""

import keras
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.multi_task.mixture import mixture
from keras_recs.register import register


@register
class MultiGate(keras.layers.Layer):
    """Mixes experts for each of several tasks, by gates that read the input.

    Args:
        num_gates: int. Mixtures K.
        kernel_regularizer: Keras regularizer. Defaults to `None`.

    Call arguments:
        inputs: pair of what the gates read, `(B, N)`, and the experts `(B, E, H)`.

    Output shape: `(B, K, H)`.

    Raises:
        ValueError: for a number of gates that is not a positive integer.

    Example:
    >>> gate = keras_recs.layers.MultiGate(2)
    >>> tuple(gate([np.ones((3, 6)), np.ones((3, 4, 5))]).shape)
    (3, 2, 5)

    Reference: [Ma et al., 2018](https://dl.acm.org/doi/10.1145/3219819.3220007):
    f^k(x) = Σ_i softmax(W_k x)_i f_i(x)
    """

    def __init__(self, num_gates, kernel_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        (self.num_gates,) = checked_sizes("num_gates", (num_gates,))
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        """Creates the matrix of all gates."""
        selector, experts = input_shape
        self.num_experts = experts[1]
        self.dense = keras.layers.Dense(
            self.num_gates * self.num_experts,
            use_bias=False,
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name="dense",
        )
        self.dense.build(selector)
        self.built = True

    def call(self, inputs):
        """Returns the mixture of each gate."""
        selector, experts = inputs
        weights = ops.unstack(self.weigh(selector), self.num_gates, axis=1)
        experts = ops.unstack(experts, self.num_experts, axis=1)  # (B, H) each
        mixed = [mixture(own, experts) for own in weights]
        return ops.stack(mixed, axis=1)  # (B, K, H)

    def weigh(self, selector):
        """What each gate gives to each expert, float32 `(B, K, E)`."""
        logits = ops.cast(self.dense(selector), "float32")
        shape = (-1, self.num_gates, self.num_experts)
        return ops.softmax(ops.reshape(logits, shape), axis=-1)

    def compute_output_shape(self, input_shape):
        """`(B, K, H)`."""
        experts = input_shape[1]
        return (experts[0], self.num_gates, experts[2])

    def get_config(self):
        """Constructor arguments."""
        config = {
            "num_gates": self.num_gates,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
        return {**super().get_config(), **config}
