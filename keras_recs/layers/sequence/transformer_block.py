"""Attention and a point-wise network, with what goes around them."""

import functools

import keras
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.sequence.causal_self_attention import CausalSelfAttention
from keras_recs.layers.sequence.local_attention import LocalAttention
from keras_recs.layers.sequence.places import Places
from keras_recs.register import register

WIRINGS = ("sasrec", "pre", "post")


@register
class TransformerBlock(keras.layers.Layer):
    """Attention of a sequence to itself, then a network of two layers at each place.

    Args:
        num_heads: int. It divides D. Defaults to `1`.
        hidden_units: int. Width of the network's first layer. Defaults to `None`: D.
        activation: Keras activation of that layer. Defaults to `"relu"`.
        dropout: float. Rate of the attention's weights and in the network; under
            `"pre"` and `"post"` of what the attention adds too. Defaults to `0.0`.
        wiring: `"sasrec"`, as in its authors' code: what asks is normalized, what is
            asked is not, and both residuals start from the normalized states;
            `"pre"`: x + g(LN(x)), as in SASRec's paper; `"post"`: LN(x + g(x)), as in
            BERT4Rec. The two latter have a dense layer over the heads' outputs.
            Defaults to `"sasrec"`.
        sees: `"past"`: each place sees itself and those before it; `"all"`: all places;
            an int: so many to each side. Defaults to `"past"`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Call arguments:
        inputs: pair of states `(B, T, D)` and a bool mask `(B, T)`, true where an event
            is there.

    Output shape: `(B, T, D)`; zeros at the padding.

    Raises:
        ValueError: for an unknown wiring, for another word or a number that is not
            positive as `sees`, for inputs of other shapes and for heads that do not
            divide D.

    Example:
    >>> block = keras_recs.layers.TransformerBlock(num_heads=2)
    >>> tuple(block([np.ones((2, 3, 4)), np.ones((2, 3), bool)]).shape)
    (2, 3, 4)

    Reference: [Kang and McAuley, 2018](https://arxiv.org/abs/1808.09781),
    [Sun et al., 2019](https://arxiv.org/abs/1904.06690)
    """

    def __init__(
        self,
        num_heads=1,
        hidden_units=None,
        activation="relu",
        dropout=0.0,
        wiring="sasrec",
        sees="past",
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if wiring not in WIRINGS:
            raise ValueError(
                f"`wiring` must be one of {WIRINGS}. Received: wiring={wiring!r}"
            )
        if sees not in ("past", "all") and (not isinstance(sees, int) or sees < 1):
            raise ValueError(
                '`sees` must be "past", "all" or a positive integer, the places to '
                f"each side. Received: sees={sees!r}"
            )
        if hidden_units is not None:
            (hidden_units,) = checked_sizes("hidden_units", (hidden_units,))
        self.num_heads = num_heads
        self.hidden_units = hidden_units
        self.activation = keras.activations.get(activation)
        self.dropout = dropout
        self.wiring = wiring
        self.sees = sees
        self.seed = seed
        # How many events there are differs between batches.
        self.supports_jit = keras.backend.backend() != "tensorflow"

    def build(self, input_shape):
        """Creates the attention, the network and the normalizations."""
        shapes = [tuple(s) for s in input_shape if isinstance(s, (tuple, list))]
        if [len(shape) for shape in shapes] != [3, 2] or shapes[0][-1] is None:
            raise ValueError(
                "The inputs of TransformerBlock must be [states (batch, time, dim), "
                f"mask (batch, time)]. Received: shape={input_shape}"
            )
        (states, mask), dim = shapes, shapes[0][-1]
        policy = self.dtype_policy
        if self.sees == "past":
            attention = CausalSelfAttention
        else:
            window = None if self.sees == "all" else self.sees
            attention = functools.partial(LocalAttention, window)
        self.attention = attention(
            num_heads=self.num_heads,
            dropout=self.dropout,
            use_output_projection=self.wiring != "sasrec",
            seed=self.seed,
            dtype=policy,
            name="attention",
        )
        self.attention.build([states, states, mask])
        self.norms, self.dropouts = [], []
        for i in range(2):
            norm = keras.layers.LayerNormalization(
                epsilon=1e-8 if self.wiring == "sasrec" else 1e-6,
                dtype=policy,
                name=f"norm_{i}",
            )
            norm.build(states)
            self.norms.append(norm)
        for i in range(3):
            seed = None if self.seed is None else self.seed + 1 + i
            dropout = keras.layers.Dropout(
                self.dropout, seed=seed, dtype=policy, name=f"dropout_{i}"
            )
            dropout.build(states)
            self.dropouts.append(dropout)
        hidden = self.hidden_units or dim
        self.inner = keras.layers.Dense(
            hidden, self.activation, dtype=policy, name="inner"
        )
        self.inner.build(states)
        self.outer = keras.layers.Dense(dim, dtype=policy, name="outer")
        self.outer.build((*states[:-1], hidden))
        self.built = True

    def call(self, inputs, training=None):
        """Returns the next states."""
        x, mask = inputs
        if keras.backend.backend() != "tensorflow":

            def see(asking, asked):
                return self.attention([asking, asked, mask], training=training)

            x = self._next_states(x, see, training)
            return x * ops.expand_dims(ops.cast(mask, x.dtype), -1)

        places = Places(ops.cast(mask, "bool"))

        def see(asking, asked):
            projected = self.attention.project(asking, asked)  # (N, D)
            wide = [places.whole(x) for x in projected]  # (B, T, D)
            seen = places.rows(self.attention.look(*wide, mask, training))  # (N, D)
            return self.attention.output_of(seen)

        x = self._next_states(places.rows(x), see, training)  # (N, D)
        return places.whole(x)

    def _next_states(self, x, see, training):
        """Of states `(..., D)`; `see` is the attention of some to some."""
        if self.wiring == "sasrec":
            asking = self.norms[0](x)
            x = self.norms[1](asking + see(asking, x))
            return x + self._network(x, training)
        if self.wiring == "pre":
            normed = self.norms[0](x)
            x = x + self.dropouts[2](see(normed, normed), training=training)
            return x + self._network(self.norms[1](x), training)
        seen = self.dropouts[2](see(x, x), training=training)
        x = self.norms[0](x + seen)
        return self.norms[1](x + self._network(x, training))

    def _network(self, x, training):
        x = self.inner(x)  # (..., H)
        if self.wiring == "sasrec":
            x = self.dropouts[0](x, training=training)
        return self.dropouts[1](self.outer(x), training=training)  # (..., D)

    def compute_output_shape(self, input_shape):
        """As the states."""
        return tuple(input_shape[0])

    def get_config(self):
        """Constructor arguments."""
        config = {
            "num_heads": self.num_heads,
            "hidden_units": self.hidden_units,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "wiring": self.wiring,
            "sees": self.sees,
            "seed": self.seed,
        }
        return {**super().get_config(), **config}
