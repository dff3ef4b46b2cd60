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
        cell = _AttentionalCell(gru, dtype=policy, name="cell")
        self.rnn = keras.layers.RNN(cell, dtype=policy, name="rnn")
        self.rnn.build((None, None, dim + 1))
        self.built = True

    def call(self, inputs):
        """Returns the last state."""
        steps, weights = inputs[0], inputs[1]
        weights = ops.expand_dims(ops.cast(weights, steps.dtype), -1)  # (B, T, 1)
        mask = ops.cast(inputs[2], "bool") if len(inputs) == 3 else None
        joined = ops.concatenate([steps, weights], axis=-1)  # (B, T, D + 1)
        return self.rnn(joined, mask=mask)  # (B, H)

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
    """A step of a GRU, taken in part: the last column of `(B, D + 1)` is its share."""

    def __init__(self, gru, **kwargs):
        super().__init__(**kwargs)
        self.gru = gru
        self.state_size = self.output_size = gru.units

    def build(self, input_shape):
        self.gru.build((None, input_shape[-1] - 1))
        self.built = True

    def call(self, inputs, states):
        step, share = inputs[:, :-1], inputs[:, -1:]
        (before,) = states
        after, _ = self.gru(step, states)  # (B, H)
        # With the GRU's own h = (1 − u) ∘ h₋₁ + u ∘ h̃ this is its u times the share.
        state = (1 - share) * before + share * after
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
