"""A tower and a logit for each task."""

import keras
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.layers.multi_task.experts import Experts
from keras_recs.register import register


@register
class TaskTowers(keras.layers.Layer):
    """An MLP with one output for each of several tasks, all in one product a layer.

    The last product is computed in float32 whatever the policy.

    Args:
        num_tasks: int. K.
        hidden_units: ints. Widths of each tower; empty for a linear one.
        activation: Keras activation of the hidden layers. Defaults to `"relu"`.
        dropout: float. Rate after each activation. Defaults to `0.0`.
        kernel_regularizer: Keras regularizer of the matrices. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Call arguments:
        inputs: `(B, N)`, which all towers read, or `(B, K, N)`, one for each.

    Output shape: float32 `(B, K)`: a logit a task, for `PredictionHeads`.

    Raises:
        ValueError: for a number of tasks or widths that are not positive integers, and
            for inputs of another number of tasks.

    Example:
    >>> towers = keras_recs.layers.TaskTowers(2, (4,))
    >>> tuple(towers(np.ones((3, 6))).shape)
    (3, 2)
    """

    def __init__(
        self,
        num_tasks,
        hidden_units,
        activation="relu",
        dropout=0.0,
        kernel_regularizer=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        (self.num_tasks,) = checked_sizes("num_tasks", (num_tasks,))
        empty = isinstance(hidden_units, (tuple, list)) and not hidden_units
        self.hidden_units = () if empty else checked_sizes("hidden_units", hidden_units)
        self.activation = keras.activations.get(activation)
        self.dropout = dropout
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.seed = seed

    def build(self, input_shape):
        """Creates the towers and their last units."""
        if len(input_shape) == 3 and input_shape[1] != self.num_tasks:
            raise ValueError(
                f"Layer '{self.name}' has {self.num_tasks} tasks: its inputs are "
                f"(B, N) or (B, {self.num_tasks}, N). Received: {tuple(input_shape)}"
            )
        width = input_shape[-1]
        self.hidden = None
        if self.hidden_units:
            self.hidden = Experts(
                self.num_tasks,
                self.hidden_units,
                activation=self.activation,
                dropout=self.dropout,
                kernel_regularizer=self.kernel_regularizer,
                seed=self.seed,
                dtype=self.dtype_policy,
                name="hidden",
            )
            self.hidden.build(input_shape)
            width = self.hidden_units[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(width, self.num_tasks),
            initializer=self._initial_kernel,
            regularizer=self.kernel_regularizer,
            autocast=False,
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.num_tasks,), initializer="zeros", autocast=False
        )
        self.built = True

    def call(self, inputs, training=None):
        """Returns the logit of each task."""
        x = inputs
        if self.hidden is not None:
            x = self.hidden(x, training=training)  # (B, K, H)
        x = ops.cast(x, "float32")
        kernel = ops.convert_to_tensor(self.kernel)
        if len(x.shape) == 2:
            return ops.matmul(x, kernel) + self.bias  # (B, K)
        return ops.einsum("bkh,hk->bk", x, kernel) + self.bias

    def compute_output_spec(self, inputs, training=None):
        """Float32 `(B, K)`."""
        return keras.KerasTensor((inputs.shape[0], self.num_tasks), "float32")

    def get_config(self):
        """Constructor arguments."""
        config = {
            "num_tasks": self.num_tasks,
            "hidden_units": self.hidden_units,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
        }
        return {**super().get_config(), **config}

    def _initial_kernel(self, shape, dtype=None):
        """Each task's last unit as if it were alone."""
        drawn = [
            renewed_initializer(keras.initializers.GlorotUniform(), number)(
                (shape[0], 1), dtype
            )
            for number in range(shape[1])
        ]
        return ops.concatenate(drawn, axis=1)
