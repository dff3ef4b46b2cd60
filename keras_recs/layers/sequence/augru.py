"""A GRU whose update gate listens to attention."""

import keras
from keras import ops

from keras_recs.register import register


@register
class AUGRU(keras.layers.Layer):
    """Reads a sequence, moved by each step as far as that is attended to.

    A step with weight 0 leaves the state as it is, one with weight 1 is that of
    `keras.layers.GRU(units)`, with the same weights and its `reset_after=True`, which
    is also the paper's candidate: tanh(W x + r ∘ (U h) + b).

    Args:
        units: int. Width of the state.
        kernel_initializer: Keras initializer. Defaults to `"glorot_uniform"`.
        recurrent_initializer: Keras initializer. Defaults to `"orthogonal"`.

    Call arguments:
        inputs: list of the steps `(B, T, D)`, their weights from 0 to 1 `(B, T)` and a
            bool mask `(B, T)`, true where a step is there, on whatever side the padding
            is. Without a mask all are.

    Output shape: `(B, units)`, the state after the last step; zeros without any step.

    Raises:
        ValueError: for inputs of other shapes, and for units that are not a positive
            integer.

    Example:
    >>> steps, weights = np.ones((2, 3, 4)), np.ones((2, 3))
    >>> tuple(keras_recs.layers.AUGRU(5)([steps, weights]).shape)
    (2, 5)

    Reference: [Zhou et al., 2019](https://arxiv.org/abs/1809.03672):
    ũ = a·u and h = (1 − ũ) ∘ h₋₁ + ũ ∘ h̃
    """

    def __init__(
        self,
        units,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(units, int) or units < 1:
            raise ValueError(
                f"`units` must be a positive integer. Received: units={units!r}"
            )
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)

    def build(self, input_shape):
        """Creates the cell."""
        dim = _checked_dim(input_shape)
        policy = self.dtype_policy
        gru = keras.layers.GRUCell(
            self.units,
            kernel_initializer=self.kernel_initializer,
            recurrent_initializer=self.recurrent_initializer,
            dtype=policy,
            name="gru",
        )
        gru.build((None, dim))
        cell = _AttentionalCell(gru, dtype=policy, name="cell")
        self.rnn = keras.layers.RNN(cell, dtype=policy, name="rnn")
        self.rnn.build((None, None, 3 * self.units + 1))
        self.built = True

    def call(self, inputs):
        """Returns the last state."""
        steps, weights = inputs[0], ops.cast(inputs[1], inputs[0].dtype)
        if len(inputs) == 3:
            weights = ops.where(ops.cast(inputs[2], "bool"), weights, 0.0)  # (B, T)
        gru = self.rnn.cell.gru
        # Of all steps at once; within the loop it is a matrix product for each.
        mapped = ops.add(ops.matmul(steps, gru.kernel), gru.bias[0])  # (B, T, 3·H)
        joined = [mapped, ops.expand_dims(weights, -1)]
        return self.rnn(ops.concatenate(joined, axis=-1))  # (B, H)

    def compute_output_shape(self, input_shape):
        """`(B, units)`."""
        return (input_shape[0][0], self.units)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(
                self.recurrent_initializer
            ),
        }
        return {**super().get_config(), **config}


class _AttentionalCell(keras.layers.Layer):
    """A step of a GRU, taken in part.

    Its inputs `(B, 3·H + 1)` are what the GRU's kernel and bias make of the step, and
    in the last column the share.
    """

    def __init__(self, gru, **kwargs):
        super().__init__(**kwargs)
        self.gru = gru
        self.state_size = self.output_size = gru.units

    def build(self, input_shape):
        self.built = True

    def call(self, inputs, states):
        mapped, share = inputs[:, :-1], inputs[:, -1:]
        (before,) = states
        recurrent = ops.matmul(before, self.gru.recurrent_kernel) + self.gru.bias[1]
        keep, reset, new = ops.split(mapped, 3, axis=-1)
        keep_too, reset_too, new_too = ops.split(recurrent, 3, axis=-1)
        # Keras's gate is what is kept, one minus the paper's u.
        update = share * (1.0 - ops.sigmoid(keep + keep_too))
        new = ops.tanh(new + ops.sigmoid(reset + reset_too) * new_too)
        state = before + update * (new - before)  # (B, H)
        return state, [state]


def _checked_dim(input_shape):
    shapes = [tuple(shape) for shape in input_shape if isinstance(shape, (tuple, list))]
    ranks = [len(shape) for shape in shapes]
    is_known = ranks in ([3, 2], [3, 2, 2]) and len(shapes) == len(input_shape)
    if not is_known or shapes[0][-1] is None:
        raise ValueError(
            "The inputs of AUGRU must be [steps (batch, time, dim), weights (batch, "
            "time), mask (batch, time)]; the mask may be left out. Received: "
            f"shape={input_shape}"
        )
    return shapes[0][-1]
