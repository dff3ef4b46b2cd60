"""The feature selection of FinalMLP."""

import keras
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.mlp import MLP
from keras_recs.layers.mlp_activation import mlp_activation, mlp_activation_config
from keras_recs.register import register


@register
class FeatureGate(keras.layers.Layer):
    """Multiplies each feature with a gate between 0 and 2.

    The gates come from a condition, such as the embeddings of the user, through an MLP.
    Without a condition a learned vector takes its place: the gates are then the same
    for all examples.

    Args:
        hidden_units: ints. Widths of the MLP in front of the gates. Defaults to
            `(64,)`.
        condition_dim: int. Length of the learned vector. Defaults to `16`.
        activation: of the MLP, as `MLP` takes it. Defaults to `"relu"`.
        kernel_regularizer: Keras regularizer of the matrices. Defaults to `None`.

    Call arguments:
        inputs: features `(B, N)`.
        condition: `(B, C)`. Defaults to `None`: the learned vector.

    Output shape: `(B, N)`.

    Raises:
        ValueError: for sizes that are not positive integers.

    Example:
    >>> gate = keras_recs.layers.FeatureGate((8,))
    >>> tuple(gate(np.ones((2, 6)), condition=np.ones((2, 3))).shape)
    (2, 6)

    Reference: [Mao et al., 2023](https://arxiv.org/abs/2304.00902):
    2 σ(MLP(x)) ⊙ e
    """

    def __init__(
        self,
        hidden_units=(64,),
        condition_dim=16,
        activation="relu",
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(condition_dim, int) or condition_dim < 1:
            raise ValueError(
                "`condition_dim` must be a positive integer. Received: "
                f"condition_dim={condition_dim!r}"
            )
        self.hidden_units = checked_sizes("hidden_units", hidden_units)
        self.condition_dim = condition_dim
        self.activation = mlp_activation(activation)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, inputs_shape, condition_shape=None):
        """Creates the MLP, the gates' layer and the learned vector."""
        self.constant = None
        width = self.condition_dim if condition_shape is None else condition_shape[-1]
        if condition_shape is None:
            # From zeros no gradient would pass the first ReLU.
            self.constant = self.add_weight(
                name="constant", shape=(1, width), initializer="glorot_uniform"
            )
        self.mlp = MLP(
            self.hidden_units,
            activation=self.activation,
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name="mlp",
        )
        self.mlp.build((None, width))
        self.gates = keras.layers.Dense(
            inputs_shape[-1],
            activation="sigmoid",
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name="gates",
        )
        self.gates.build((None, self.hidden_units[-1]))
        self.built = True

    def call(self, inputs, condition=None):
        """Returns the gated features."""
        if condition is None:
            condition = ops.convert_to_tensor(self.constant)  # (1, C)
        return inputs * (2 * self.gates(self.mlp(condition)))  # (B, N)

    def compute_output_shape(self, inputs_shape, condition_shape=None):
        """As the features."""
        return tuple(inputs_shape)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "hidden_units": self.hidden_units,
            "condition_dim": self.condition_dim,
            "activation": mlp_activation_config(self.activation),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
        return {**super().get_config(), **config}
