"""MLPs side by side."""

import keras
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.register import register


@register
class Experts(keras.layers.Layer):
    """MLPs of one shape, computed in one matrix product a layer.

    Each has weights of its own. They read the same input, or each its own. Under
    TensorFlow without a GPU each has a product of its own, which spares moving what the
    layers pass on between two layouts.

    Args:
        num_experts: int.
        hidden_units: ints. Widths of the layers of each.
        activation: Keras activation of every layer. Defaults to `"relu"`.
        dropout: float. Rate after each activation. Defaults to `0.0`.
        kernel_regularizer: Keras regularizer of the matrices. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Call arguments:
        inputs: `(B, N)` for all E experts, or `(B, E, N)`.

    Output shape: `(B, E, hidden_units[-1])`.

    Raises:
        ValueError: for a number of experts or widths that are not positive integers,
            and for inputs of another number of experts.

    Example:
    >>> experts = keras_recs.layers.Experts(3, (8, 4))
    >>> tuple(experts(np.ones((2, 6))).shape)
    (2, 3, 4)
    """

    def __init__(
        self,
        num_experts,
        hidden_units,
        activation="relu",
        dropout=0.0,
        kernel_regularizer=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        (self.num_experts,) = checked_sizes("num_experts", (num_experts,))
        self.hidden_units = checked_sizes("hidden_units", hidden_units)
        self.activation = keras.activations.get(activation)
        self.dropout = dropout
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.seed = seed

    def build(self, input_shape):
        """Creates the matrices and biases of all experts."""
        if len(input_shape) == 3 and input_shape[1] != self.num_experts:
            raise ValueError(
                f"Layer '{self.name}' has {self.num_experts} experts: its inputs are "
                f"(B, N) or (B, {self.num_experts}, N). Received: {tuple(input_shape)}"
            )
        bends = self.activation is keras.activations.relu
        self._initializer = keras.initializers.get(
            "he_normal" if bends else "glorot_uniform"
        )
        self.kernels, self.biases, self.dropouts = [], [], []
        width = input_shape[-1]
        for i, units in enumerate(self.hidden_units):
            self.kernels.append(
                self.add_weight(
                    name=f"kernel_{i}",
                    shape=(width, self.num_experts, units),
                    initializer=self._initial_kernel,
                    regularizer=self.kernel_regularizer,
                )
            )
            self.biases.append(
                self.add_weight(
                    name=f"bias_{i}",
                    shape=(self.num_experts, units),
                    initializer="zeros",
                )
            )
            if self.dropout:
                seed = None if self.seed is None else self.seed + i
                self.dropouts.append(
                    keras.layers.Dropout(
                        self.dropout,
                        seed=seed,
                        dtype=self.dtype_policy,
                        name=f"dropout_{i}",
                    )
                )
            width = units
        self.built = True

    def call(self, inputs, training=None):
        """Returns the last layer's output of each expert."""
        if not runs_on_tensorflow_cpus():
            return self._at_once(inputs, training)
        if len(inputs.shape) == 2:
            states = [inputs] * self.num_experts
        else:
            states = ops.unstack(inputs, self.num_experts, axis=1)
        return ops.stack(self.apply_each(states, training), axis=1)  # (B, E, H)

    def _at_once(self, x, training):
        """A product a layer."""
        for i, (kernel, bias) in enumerate(zip(self.kernels, self.biases)):
            kernel = ops.convert_to_tensor(kernel)
            if len(x.shape) == 2:
                flat = ops.reshape(kernel, (kernel.shape[0], -1))  # (N, E·H)
                x = ops.reshape(ops.matmul(x, flat), (-1, *kernel.shape[1:]))
            else:
                x = ops.einsum("ben,neh->beh", x, kernel)  # (B, E, H)
            x = self.activation(x + bias)
            if self.dropouts:
                x = self.dropouts[i](x, training=training)
        return x

    def apply_each(self, states, training=None):
        """A product an expert and a layer: nothing is moved between layouts.

        Args:
            states: list of what each expert reads, `(B, N)`.
            training: bool or `None`.

        Returns:
            list of `(B, H)`.
        """
        for i, (kernel, bias) in enumerate(zip(self.kernels, self.biases)):
            kernels = ops.unstack(ops.convert_to_tensor(kernel), axis=1)
            biases = ops.unstack(ops.convert_to_tensor(bias), axis=0)
            states = [
                # `ops.add` and not `+`: TensorFlow joins product, bias and activation.
                self.activation(ops.add(ops.matmul(state, own), own_bias))  # (B, H)
                for state, own, own_bias in zip(states, kernels, biases)
            ]
            if self.dropouts:
                states = [self.dropouts[i](s, training=training) for s in states]
        return states

    def compute_output_shape(self, input_shape):
        """`(B, E, hidden_units[-1])`."""
        return (input_shape[0], self.num_experts, self.hidden_units[-1])

    def get_config(self):
        """Constructor arguments."""
        config = {
            "num_experts": self.num_experts,
            "hidden_units": self.hidden_units,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
        }
        return {**super().get_config(), **config}

    def _initial_kernel(self, shape, dtype=None):
        """Each expert's matrix as if it were alone."""
        width, num_experts, units = shape
        drawn = [
            renewed_initializer(self._initializer, number)((width, units), dtype)
            for number in range(num_experts)
        ]
        return ops.stack(drawn, axis=1)


def runs_on_tensorflow_cpus():
    """Where products of an expert each, on a core each, take least time."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")
