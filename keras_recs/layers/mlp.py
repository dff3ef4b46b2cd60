"""A stack of dense layers."""

import keras

from keras_recs.layers.batch_norm import BatchNorm
from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.dice import Dice
from keras_recs.layers.mlp_activation import (
    LEARNED,
    mlp_activation,
    mlp_activation_config,
)
from keras_recs.register import register


@register
class MLP(keras.layers.Layer):
    """Dense layers, each with optional batch normalization, activation and dropout.

    Args:
        hidden_units: ints. Width of each layer.
        activation: Keras activation of every layer, or `"dice"` or `"prelu"`, which
            learn a slope for each channel. Of a Keras layer each has a copy. Defaults
            to `"relu"`.
        batch_norm: bool. Normalize before the activation, with a momentum of 0.9 and
            an ε of 1e-5. Defaults to `False`.
        dropout: float. Rate after the activation. Defaults to `0.0`.
        kernel_regularizer: Keras regularizer. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Call arguments:
        inputs: `(B, …, N)`.
        mask: bool `(B, …)`, true where a position counts in the statistics of the
            normalization and of `"dice"`. Defaults to `None`: everywhere.

    Output shape: `(B, …, hidden_units[-1])`.

    Raises:
        ValueError: if `hidden_units` are not one or more positive integers, and for an
            unknown activation.
        TypeError: for a class as activation.

    Example:
    >>> tuple(keras_recs.layers.MLP((8, 4))(np.ones((2, 3))).shape)
    (2, 4)
    """

    def __init__(
        self,
        hidden_units,
        activation="relu",
        batch_norm=False,
        dropout=0.0,
        kernel_regularizer=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_units = checked_sizes("hidden_units", hidden_units)
        self.activation = mlp_activation(activation)
        self.batch_norm = batch_norm
        self.dropout = dropout
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape):
        """Creates the dense layers."""
        self.blocks = []
        shape = tuple(input_shape)
        policy = self.dtype_policy
        bends = self.activation in (keras.activations.relu, *LEARNED) or isinstance(
            self.activation, tuple(LEARNED.values())
        )
        for i, units in enumerate(self.hidden_units):
            block = [
                keras.layers.Dense(
                    units,
                    kernel_initializer="he_normal" if bends else "glorot_uniform",
                    kernel_regularizer=self.kernel_regularizer,
                    dtype=policy,
                    name=f"dense_{i}",
                )
            ]
            if self.batch_norm:
                # Keras's 0.99 lags behind for as long as two epochs of large batches,
                # and its 1e-3 is more than the variance of small embeddings.
                norm = BatchNorm(
                    momentum=0.9, epsilon=1e-5, dtype=policy, name=f"norm_{i}"
                )
                block.append(norm)
            block.append(self._activation(f"activation_{i}", len(shape)))
            if self.dropout:
                seed = None if self.seed is None else self.seed + i
                block.append(
                    keras.layers.Dropout(
                        self.dropout, seed=seed, dtype=policy, name=f"dropout_{i}"
                    )
                )
            for layer in block:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
            self.blocks.append(block)
        self.built = True

    def call(self, inputs, training=None, mask=None):
        """Returns the last layer's output."""
        x = inputs
        for block in self.blocks:
            for layer in block:
                if isinstance(layer, (keras.layers.BatchNormalization, Dice)):
                    x = layer(x, training=training, mask=mask)
                elif isinstance(layer, keras.layers.Dropout):
                    x = layer(x, training=training)
                else:
                    x = layer(x)
        return x  # (B, …, H)

    def compute_output_shape(self, input_shape):
        """`(B, …, hidden_units[-1])`."""
        return (*input_shape[:-1], self.hidden_units[-1])

    def get_config(self):
        """Constructor arguments."""
        config = {
            "hidden_units": self.hidden_units,
            "activation": mlp_activation_config(self.activation),
            "batch_norm": self.batch_norm,
            "dropout": self.dropout,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
        }
        return {**super().get_config(), **config}

    def _activation(self, name, rank):
        policy = self.dtype_policy
        layer = self.activation
        if isinstance(layer, str):
            layer = LEARNED[layer]()
        if not isinstance(layer, keras.layers.Layer):
            return keras.layers.Activation(layer, dtype=policy, name=name)
        config = {**layer.get_config(), "dtype": policy, "name": name}
        if isinstance(layer, keras.layers.PReLU):
            config["shared_axes"] = list(range(1, rank - 1))  # one slope a channel
        return type(layer).from_config(config)
