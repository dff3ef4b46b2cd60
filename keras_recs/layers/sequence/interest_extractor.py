"""The states of a history, taught by what was done next."""

import keras
from keras import ops

from keras_recs.register import register


@register
class InterestExtractor(keras.layers.Layer):
    """A GRU over a history whose states must tell the next event from a drawn one.

    Given negatives, the layer adds in training a loss: the mean of
    −log σ(h_t·e_{t+1}) − log(1 − σ(h_t·e⁻_{t+1})) over all pairs of an event that is
    there and its next one. The states are as wide as the events. The authors' code has
    an MLP in the place of the product and averages over padding too.

    Args:
        auxiliary_weight: float. Weight of the loss. Defaults to `1.0`.

    Call arguments:
        inputs: list of the events `(B, T, D)`, a bool mask `(B, T)`, true where an
            event is there, on whatever side the padding is, and the negatives
            `(B, T, D)`, which are not read outside training and may have another length
            there. Without negatives there is no loss.

    Output shape: `(B, T, D)`, the state after each event; zeros at the padding.

    Raises:
        ValueError: for inputs of other shapes, and for a negative weight.

    Example:
    >>> layer = keras_recs.layers.InterestExtractor()
    >>> events, mask = np.ones((2, 3, 4)), np.ones((2, 3), bool)
    >>> states = layer([events, mask, -events], training=True)
    >>> tuple(states.shape), len(layer.losses)
    ((2, 3, 4), 1)

    Reference: [Zhou et al., 2019](https://arxiv.org/abs/1809.03672), section 4.2
    """

    def __init__(self, auxiliary_weight=1.0, **kwargs):
        super().__init__(**kwargs)
        if not auxiliary_weight >= 0:
            raise ValueError(
                "`auxiliary_weight` must not be negative. Received: "
                f"auxiliary_weight={auxiliary_weight}"
            )
        self.auxiliary_weight = auxiliary_weight

    def build(self, input_shape):
        """Creates the GRU."""
        shapes = [tuple(s) for s in input_shape if isinstance(s, (tuple, list))]
        ranks = [len(shape) for shape in shapes]
        is_known = ranks in ([3, 2], [3, 2, 3]) and len(shapes) == len(input_shape)
        if not is_known or {s[-1] for s in shapes[::2]} != {shapes[0][-1] or 0}:
            raise ValueError(
                "The inputs of InterestExtractor must be [events (batch, time, dim), "
                "mask (batch, time), negatives (batch, time, dim)]; the negatives may "
                f"be left out. Received: shape={input_shape}"
            )
        # cuDNN refuses padding on the left and histories of padding alone.
        self.gru = keras.layers.GRU(
            shapes[0][-1],
            return_sequences=True,
            use_cudnn=False,
            dtype=self.dtype_policy,
            name="gru",
        )
        self.gru.build((None, None, shapes[0][-1]))
        self.built = True

    def call(self, inputs, training=None):
        """Returns the states."""
        events, mask = inputs[0], ops.cast(inputs[1], "bool")
        states = self.gru(events, mask=mask)  # (B, T, D)
        there = ops.expand_dims(ops.cast(mask, states.dtype), -1)
        states = states * there
        if training and len(inputs) == 3:
            loss = _next_event_loss(states, events, inputs[2], mask)
            self.add_loss(self.auxiliary_weight * loss)
        return states

    def compute_output_shape(self, input_shape):
        """As the events."""
        return tuple(input_shape[0])

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "auxiliary_weight": self.auxiliary_weight}


def _next_event_loss(states, events, negatives, mask):
    """Scalar: the mean over what has a next event, 0 where nothing has."""
    # Moved by a step: the gradient of a slice would be filled up with zeros.
    before = ops.roll(ops.cast(states, "float32"), 1, axis=1)  # (B, T, D)
    right = ops.sum(before * ops.cast(events, "float32"), axis=-1)  # (B, T)
    wrong = ops.sum(before * ops.cast(negatives, "float32"), axis=-1)
    is_later = ops.arange(ops.shape(mask)[1]) > 0  # (T,)
    pairs = ops.logical_and(ops.logical_and(mask, ops.roll(mask, 1, axis=1)), is_later)
    pairs = ops.cast(pairs, "float32")
    # −log σ(x) is softplus(−x), and −log(1 − σ(x)) is softplus(x).
    losses = ops.softplus(-right) + ops.softplus(wrong)
    return ops.sum(losses * pairs) / ops.maximum(ops.sum(pairs), 1.0)
