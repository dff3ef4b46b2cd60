"""A GRU that reads many sessions, one after the other."""

import keras
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.register import register

# Added up before the sigmoid, a gate that is shut in every dtype.
_SHUT = -1e4


@register
class SessionGRU(keras.layers.Layer):
    """GRU layers, whose state is forgotten where a session begins.

    Each row is a slot that goes through one session after the other. Where `starts` is
    true the state before the step is zeros; where there is no step it stays as it is.
    The state before the first step is what the call is given; else, of a layer with
    `num_slots`, what the last call of that kind has left, through which no gradient
    goes; else zeros. Training and other calls have states of their own: validation in
    the midst of an epoch changes nothing.

    Args:
        hidden_units: ints. Width of each layer, the first one reads the steps. Defaults
            to `(100,)`.
        reset_after: bool. r ∘ (U h + b) in the candidate, as in cuDNN and PyTorch, and
            not the papers' U (r ∘ h) + b. Defaults to `False`.
        dropout: float. Rate of what goes from a layer to the next. Defaults to `0.0`.
        num_slots: int. Rows of every batch, whose states are carried from one call to
            the next. Defaults to `None`: nothing is carried.
        kernel_initializer: Keras initializer. Defaults to `"glorot_uniform"`.
        recurrent_initializer: Keras initializer. Defaults to `"orthogonal"`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Call arguments:
        inputs: list of the steps `(B, T, D)`, `starts` `(B, T)`, true where a session
            begins, and a mask `(B, T)`, true where a step is there; then, if wanted,
            the state of each layer before the first step, `(B, H_i)`.

    Output shape: list of the last layer's states `(B, T, H)` and, of each layer, the
    state after the last step `(B, H_i)`.

    Raises:
        ValueError: for inputs of other shapes, units that are not positive integers,
            and a batch of other rows than the slots.

    Example:
    >>> layer = keras_recs.layers.SessionGRU((5, 6))
    >>> steps, here = np.ones((2, 3, 4)), np.ones((2, 3), bool)
    >>> [tuple(part.shape) for part in layer([steps, ~here, here])]
    [(2, 3, 6), (2, 5), (2, 6)]

    Reference: [Hidasi et al., 2016](https://arxiv.org/abs/1511.06939):
    h = (1 − z) ∘ h₋₁ + z ∘ tanh(W x + U (r ∘ h₋₁)), z = σ(W_z x + U_z h₋₁),
    r = σ(W_r x + U_r h₋₁)
    """

    def __init__(
        self,
        hidden_units=(100,),
        reset_after=False,
        dropout=0.0,
        num_slots=None,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_units = checked_sizes("hidden_units", hidden_units)
        if num_slots is not None:
            (num_slots,) = checked_sizes("num_slots", (num_slots,))
        self.reset_after = reset_after
        self.dropout = dropout
        self.num_slots = num_slots
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.seed = seed

    def build(self, input_shape):
        """Creates the layers and what they carry."""
        dim = self._checked_dim(input_shape)
        policy = self.dtype_policy
        self.loops, self.dropouts = [], []
        self.carried, self.carried_in_tests = [], []
        for i, units in enumerate(self.hidden_units):
            cell = _SessionCell(
                units,
                dim,
                self.reset_after,
                renewed_initializer(self.kernel_initializer, i),
                renewed_initializer(self.recurrent_initializer, i),
                dtype=policy,
                name=f"cell_{i}",
            )
            loop = keras.layers.RNN(
                cell, return_sequences=True, dtype=policy, name=f"loop_{i}"
            )
            loop.build((None, None, 3 * units + 1))
            self.loops.append(loop)
            if i:
                seed = None if self.seed is None else self.seed + i
                drop = keras.layers.Dropout(
                    self.dropout, seed=seed, dtype=policy, name=f"dropout_{i}"
                )
                self.dropouts.append(drop)
            if self.num_slots is not None:
                for states, name in (
                    (self.carried, f"state_{i}"),
                    (self.carried_in_tests, f"test_state_{i}"),
                ):
                    state = self.add_weight(
                        name=name,
                        shape=(self.num_slots, units),
                        initializer="zeros",
                        trainable=False,
                    )
                    states.append(state)
            dim = units
        self.built = True

    def call(self, inputs, training=None):
        """Returns all states of the last layer, and the last one of each."""
        x, starts, mask, *before = inputs
        carries = not before and self.num_slots is not None
        if carries:
            self._check_slots(x)
            # TensorFlow may know the batch only when it runs: checked then, too.
            x = ops.reshape(x, (self.num_slots, ops.shape(x)[1], x.shape[2]))
            # Copies: the gradient reads them after the variables have been set.
            carried = self.carried if training else self.carried_in_tests
            before = [ops.cast(ops.copy(state), x.dtype) for state in carried]
        elif not before:
            size = ops.shape(x)[0]
            before = [ops.zeros((size, n), x.dtype) for n in self.hidden_units]
        keep = ops.expand_dims(ops.logical_not(ops.cast(starts, "bool")), -1)
        keep = ops.cast(keep, x.dtype)  # (B, T, 1)
        is_there = ops.expand_dims(ops.cast(mask, "bool"), -1)  # (B, T, 1)
        after = []
        for i, loop in enumerate(self.loops):
            if i:
                x = self.dropouts[i - 1](x, training=training)
            x = _run(loop, x, keep, is_there, before[i])  # (B, T, H)
            after.append(x[:, -1])  # (B, H)
        if carries:
            for variable, state in zip(carried, after):
                variable.assign(ops.cast(state, variable.dtype))
        return [x, *after]

    def compute_output_shape(self, input_shape):
        """`(B, T, H)` and `(B, H_i)`."""
        batch, length = input_shape[0][:2]
        last = [(batch, units) for units in self.hidden_units]
        return [(batch, length, self.hidden_units[-1]), *last]

    def get_config(self):
        """Constructor arguments."""
        config = {
            "hidden_units": self.hidden_units,
            "reset_after": self.reset_after,
            "dropout": self.dropout,
            "num_slots": self.num_slots,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(
                self.recurrent_initializer
            ),
            "seed": self.seed,
        }
        return {**super().get_config(), **config}

    def _check_slots(self, steps):
        if steps.shape[0] not in (None, self.num_slots):
            raise ValueError(
                "A batch must have as many rows as SessionGRU has `num_slots`, or come "
                "with the states before it. Received: "
                f"num_slots={self.num_slots}, steps of shape {tuple(steps.shape)}"
            )

    def _checked_dim(self, input_shape):
        shapes = [
            tuple(shape) for shape in input_shape if isinstance(shape, (tuple, list))
        ]
        widths = [shape[-1] for shape in shapes[3:]]
        ranks = [len(shape) for shape in shapes[:3]]
        is_known = ranks == [3, 2, 2] and widths in ([], list(self.hidden_units))
        if not is_known or shapes[0][-1] is None:
            raise ValueError(
                "The inputs of SessionGRU must be [steps (batch, time, dim), starts "
                "(batch, time), mask (batch, time)] and perhaps a state (batch, units) "
                f"for each of the `hidden_units` {self.hidden_units}. Received: "
                f"shape={input_shape}"
            )
        return shapes[0][-1]


def _run(loop, steps, keep, is_there, before):
    """The states of a layer `(B, T, H)`."""
    cell = loop.cell
    # Of all steps at once; within the loop it is a matrix product for each.
    mapped = ops.add(ops.matmul(steps, cell.kernel), cell.bias)  # (B, T, 3·H)
    update = ops.where(is_there, mapped[..., : cell.units], _SHUT)
    joined = ops.concatenate([update, mapped[..., cell.units :], keep], axis=-1)
    if steps.shape[1] == 1:
        state, _ = cell(joined[:, 0], [before])
        return ops.expand_dims(state, 1)
    return loop(joined, initial_state=[before])


class _SessionCell(keras.layers.Layer):
    """A step, of which `inputs` `(B, 3·H + 1)` have what the kernel makes of the event.

    In the last column is 0 where the state before it is forgotten, else 1.
    """

    def __init__(
        self,
        units,
        dim,
        reset_after,
        kernel_initializer,
        recurrent_initializer,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units
        self.dim = dim
        self.reset_after = reset_after
        self.kernel_initializer = kernel_initializer
        self.recurrent_initializer = recurrent_initializer

    def build(self, input_shape):
        units = self.units
        kernel, recurrent = self.kernel_initializer, self.recurrent_initializer
        # Update gate, reset gate, candidate.
        self.kernel = self.add_weight(
            name="kernel", shape=(self.dim, 3 * units), initializer=kernel
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(units, 3 * units), initializer=recurrent
        )
        self.bias = self.add_weight(
            name="bias", shape=(3 * units,), initializer="zeros"
        )
        if self.reset_after:
            self.candidate_bias = self.add_weight(
                name="candidate_bias", shape=(units,), initializer="zeros"
            )
        self.built = True

    def call(self, inputs, states):
        units, kernel = self.units, self.recurrent_kernel
        before = states[0] * inputs[:, -1:]  # (B, H)
        update, reset, new = ops.split(inputs[:, :-1], 3, axis=-1)
        if self.reset_after:
            product = ops.matmul(before, kernel)  # (B, 3·H)
            for_update, for_reset, for_new = ops.split(product, 3, axis=-1)
            reset = ops.sigmoid(reset + for_reset)
            new = new + reset * (for_new + self.candidate_bias)
        else:
            product = ops.matmul(before, kernel[:, : 2 * units])  # (B, 2·H)
            for_update, for_reset = ops.split(product, 2, axis=-1)
            reset = ops.sigmoid(reset + for_reset)
            new = new + ops.matmul(reset * before, kernel[:, 2 * units :])
        update = ops.sigmoid(update + for_update)
        state = before + update * (ops.tanh(new) - before)  # (B, H)
        return state, [state]
