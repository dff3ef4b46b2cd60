"""Attention of a candidate to a history."""

import keras
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.mlp import MLP
from keras_recs.layers.mlp_activation import mlp_activation, mlp_activation_config
from keras_recs.layers.sequence.masked_softmax import masked_softmax
from keras_recs.register import register


@register
class TargetAttention(keras.layers.Layer):
    """Sums a history, each event weighed by an MLP that sees it beside the candidate.

    Without softmax, as in the paper, the weights need not sum to 1: how much of a
    history speaks for the candidate remains visible.

    Args:
        hidden_units: ints. Widths of the MLP; one linear unit follows. Defaults to
            `(80, 40)`.
        activation: of the MLP, as `MLP` takes it. In the statistics of `"dice"` padding
            does not count. Defaults to `"dice"`.
        use_softmax: bool. Softmax over the events that are there. Defaults to `False`.

    Call arguments:
        inputs: list of the candidate `(B, D)`, the events `(B, T, D)` and a bool mask
            `(B, T)`, true where an event is there. Without a mask all are.
        return_attention_scores: bool. Return the weights too. Defaults to `False`.

    Output shape: `(B, D)`, or a pair of that and the weights, float32 `(B, T)`. Padding
        weighs exactly 0; a history of padding alone gives zeros.

    Raises:
        ValueError: for inputs of other shapes.

    Example:
    >>> layer = keras_recs.layers.TargetAttention((8,))
    >>> mask = np.array([[True, True, False], [True, False, False]])
    >>> inputs = [np.ones((2, 4)), np.ones((2, 3, 4)), mask]
    >>> output, weights = layer(inputs, return_attention_scores=True)
    >>> tuple(output.shape), [float(weight) for weight in weights[:, 2]]
    ((2, 4), [0.0, 0.0])

    Reference: [Zhou et al., 2018](https://arxiv.org/abs/1706.06978):
    v(A) = Σ_j a(e_j, v_A) e_j, where a sees e_j, v_A, their difference and product
    """

    def __init__(
        self, hidden_units=(80, 40), activation="dice", use_softmax=False, **kwargs
    ):
        super().__init__(**kwargs)
        self.hidden_units = checked_sizes("hidden_units", hidden_units)
        self.activation = mlp_activation(activation)
        self.use_softmax = use_softmax
        # How many events there are differs between batches.
        self.supports_jit = keras.backend.backend() != "tensorflow"

    def build(self, input_shape):
        """Creates the MLP."""
        dim = _checked_dim(input_shape)
        policy = self.dtype_policy
        self.mlp = MLP(self.hidden_units, self.activation, dtype=policy, name="mlp")
        self.mlp.build((None, None, 4 * dim))
        self.score = keras.layers.Dense(1, dtype=policy, name="score")
        self.score.build((None, None, self.hidden_units[-1]))
        self.built = True

    def call(self, inputs, training=None, return_attention_scores=False):
        """Returns the weighed sum, and the weights where they are asked for."""
        query, keys = inputs[0], inputs[1]
        mask = None
        if len(inputs) == 3:
            mask = ops.cast(inputs[2], "bool")  # (B, T)
        scores = self._scores(query, keys, mask, training)  # float32 (B, T)
        if self.use_softmax:
            there = ops.ones_like(scores) if mask is None else mask
            weights = masked_softmax(scores, there)
        else:
            weights = scores if mask is None else ops.where(mask, scores, 0.0)
        row = ops.expand_dims(ops.cast(weights, keys.dtype), 1)  # (B, 1, T)
        output = ops.squeeze(ops.matmul(row, keys), axis=1)  # (B, D)
        return (output, weights) if return_attention_scores else output

    def _scores(self, query, keys, mask, training):
        """The MLP's answers; on TensorFlow it is spared the padding."""
        if mask is None or keras.backend.backend() != "tensorflow":
            candidate = ops.expand_dims(query, 1) + ops.zeros_like(keys)  # (B, T, D)
            return self._score_pairs(candidate, keys, mask, training)

        import tensorflow as tf

        shape = tf.shape(mask, tf.int64)
        places = tf.where(tf.reshape(mask, (-1,)))[:, 0]  # (N,)
        events = tf.gather(tf.reshape(keys, (-1, 1, keys.shape[-1])), places)
        candidate = tf.gather(query[:, None], places // shape[1])  # (N, 1, D)
        scores = self._score_pairs(candidate, events, None, training)  # (N, 1)
        flat = tf.scatter_nd(places[:, None], scores[:, 0], tf.reduce_prod(shape)[None])
        return tf.ensure_shape(tf.reshape(flat, shape), mask.shape)

    def _score_pairs(self, candidate, events, mask, training):
        pairs = [candidate, events, candidate - events, candidate * events]
        hidden = self.mlp(
            ops.concatenate(pairs, axis=-1), training=training, mask=mask
        )  # (…, H)
        return ops.cast(ops.squeeze(self.score(hidden), axis=-1), "float32")

    def compute_output_spec(self, inputs, training=None, return_attention_scores=False):
        """`(B, D)`, and float32 `(B, T)`."""
        output = keras.KerasTensor(inputs[0].shape, self.compute_dtype)
        if not return_attention_scores:
            return output
        return output, keras.KerasTensor(inputs[1].shape[:2], "float32")

    def get_config(self):
        """Constructor arguments."""
        config = {
            "hidden_units": self.hidden_units,
            "activation": mlp_activation_config(self.activation),
            "use_softmax": self.use_softmax,
        }
        return {**super().get_config(), **config}


def _checked_dim(input_shape):
    """D of `[(B, D), (B, T, D), (B, T)]`."""
    shapes = [tuple(shape) for shape in input_shape if isinstance(shape, (tuple, list))]
    ranks = [len(shape) for shape in shapes]
    is_known = ranks in ([2, 3], [2, 3, 2]) and len(shapes) == len(input_shape)
    if not is_known or shapes[0][-1] != shapes[1][-1] or shapes[0][-1] is None:
        raise ValueError(
            "The inputs of TargetAttention must be [candidate (batch, dim), events "
            "(batch, time, dim), mask (batch, time)] of one dim; the mask may be left "
            f"out. Received: shape={input_shape}"
        )
    return shapes[0][-1]
