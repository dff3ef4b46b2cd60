"""A level of progressive layered extraction."""

import keras
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.multi_task import experts as experts_module
from keras_recs.layers.multi_task.experts import Experts
from keras_recs.layers.multi_task.mixture import mixture
from keras_recs.register import register


@register
class ExtractionBlock(keras.layers.Layer):
    """Experts of each task and experts that all share, mixed by a gate a task.

    The gate of a task sees its own and the shared experts alone. Unless it is the last
    level, one more gate mixes all experts into what the shared ones of the next level
    read. The block alone is CGC.

    Args:
        num_tasks: int. K.
        num_experts: pair of ints. Experts of each task, and shared ones.
        hidden_units: ints. Widths of the layers of each expert; ReLUs follow them.
        is_last: bool. Without the shared output. Defaults to `False`.
        dropout: float. Rate in the experts. Defaults to `0.0`.
        kernel_regularizer: Keras regularizer of the matrices. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Call arguments:
        inputs: `(B, N)`, which all read, or the output of the level before,
            `(B, K + 1, N)`.

    Output shape: `(B, K + 1, hidden_units[-1])`, the shared one last, or
        `(B, K, hidden_units[-1])` of the last level.

    Raises:
        ValueError: for numbers or widths that are not positive integers, and for inputs
            of another number of tasks.

    Example:
    >>> block = keras_recs.layers.ExtractionBlock(2, (3, 1), (4,))
    >>> tuple(block(np.ones((5, 6))).shape)
    (5, 3, 4)

    Reference: [Tang et al., 2020](https://dl.acm.org/doi/10.1145/3383313.3412236)
    """

    def __init__(
        self,
        num_tasks,
        num_experts,
        hidden_units,
        is_last=False,
        dropout=0.0,
        kernel_regularizer=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        (self.num_tasks,) = checked_sizes("num_tasks", (num_tasks,))
        self.num_experts = checked_sizes("num_experts", num_experts)
        if len(self.num_experts) != 2:
            raise ValueError(
                "`num_experts` must be the number of experts of each task and that of "
                f"shared ones, such as (3, 1). Received: num_experts={num_experts!r}"
            )
        self.hidden_units = checked_sizes("hidden_units", hidden_units)
        self.is_last = is_last
        self.dropout = dropout
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.seed = seed
        self.num_own = self.num_tasks * self.num_experts[0]  # of all tasks
        self.num_all = self.num_own + self.num_experts[1]

    def build(self, input_shape):
        """Creates the experts and the gates."""
        width = input_shape[-1]
        if len(input_shape) == 3 and input_shape[1] != self.num_tasks + 1:
            raise ValueError(
                f"Layer '{self.name}' has {self.num_tasks} tasks: its inputs are "
                f"(B, N) or (B, {self.num_tasks + 1}, N). Received: "
                f"{tuple(input_shape)}"
            )
        self.experts = Experts(
            self.num_all,
            self.hidden_units,
            dropout=self.dropout,
            kernel_regularizer=self.kernel_regularizer,
            seed=self.seed,
            dtype=self.dtype_policy,
            name="experts",
        )
        if len(input_shape) == 3:
            self.experts.build((None, self.num_all, width))
        else:
            self.experts.build((None, width))
        seen = sum(self.num_experts)
        self.gates = self.add_weight(
            name="gates",
            shape=(width, self.num_tasks, seen),
            initializer=self._initial_gates,
            regularizer=self.kernel_regularizer,
        )
        self.shared_gate = None
        if not self.is_last:
            self.shared_gate = self.add_weight(
                name="shared_gate",
                shape=(width, self.num_all),
                initializer="glorot_uniform",
                regularizer=self.kernel_regularizer,
            )
        self.built = True

    def call(self, inputs, training=None):
        """Returns the mixture of each task and, unless it is the last, all experts'."""
        states = self._states(inputs)
        weights = self._weights(states)
        if experts_module.runs_on_tensorflow_cpus():
            read = [states[reader] for reader in self._readers()]
            experts = self.experts.apply_each(read, training)
        else:
            x = inputs
            if len(x.shape) == 3:
                x = ops.take(x, self._readers(), axis=1)  # (B, E, N)
            x = self.experts(x, training=training)  # (B, E, H)
            experts = ops.unstack(x, self.num_all, axis=1)
        n, shared = self.num_experts[0], experts[self.num_own :]
        mixed = [
            mixture(weights[k], experts[k * n : (k + 1) * n] + shared)
            for k in range(self.num_tasks)
        ]
        if self.shared_gate is not None:
            mixed.append(mixture(weights[-1], experts))
        return ops.stack(mixed, axis=1)  # (B, K + 1, H) or (B, K, H)

    def weigh(self, inputs):
        """What each gate gives to the experts that it sees.

        Returns:
            Float32 `(B, K, n + s)` of the tasks, their own n experts first, and
            `(B, K·n + s)` of the shared gate, `None` at the last level.
        """
        weights = self._weights(self._states(inputs))
        tasks = ops.stack(weights[: self.num_tasks], axis=1)
        return tasks, None if self.shared_gate is None else weights[-1]

    def _states(self, inputs):
        """What each task and the shared experts read, `(B, N)` each."""
        x = ops.cast(inputs, self.compute_dtype)
        if len(x.shape) == 2:
            return [x] * (self.num_tasks + 1)
        return ops.unstack(x, self.num_tasks + 1, axis=1)

    def _weights(self, states):
        """Float32 shares of each task's gate and, unless it is the last, the shared."""
        gates = ops.unstack(ops.convert_to_tensor(self.gates), axis=1)
        if self.shared_gate is not None:
            gates = [*gates, ops.convert_to_tensor(self.shared_gate)]
        logits = [ops.matmul(state, gate) for state, gate in zip(states, gates)]
        return [ops.softmax(ops.cast(x, "float32"), axis=-1) for x in logits]

    def compute_output_shape(self, input_shape):
        """`(B, K + 1, hidden_units[-1])`; `(B, K, …)` of the last level."""
        count = self.num_tasks + (not self.is_last)
        return (input_shape[0], count, self.hidden_units[-1])

    def get_config(self):
        """Constructor arguments."""
        config = {
            "num_tasks": self.num_tasks,
            "num_experts": self.num_experts,
            "hidden_units": self.hidden_units,
            "is_last": self.is_last,
            "dropout": self.dropout,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
        }
        return {**super().get_config(), **config}

    def _readers(self):
        """Which of the K + 1 inputs each expert reads."""
        own = [k for k in range(self.num_tasks) for _ in range(self.num_experts[0])]
        return own + [self.num_tasks] * self.num_experts[1]

    def _initial_gates(self, shape, dtype=None):
        """Each task's gate as if it were alone."""
        width, num_tasks, seen = shape
        drawn = [
            keras.initializers.GlorotUniform()((width, seen), dtype)
            for _ in range(num_tasks)
        ]
        return ops.stack(drawn, axis=1)
