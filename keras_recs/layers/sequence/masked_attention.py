"""What attention of a sequence to itself has in common."""

import abc

import keras
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.sequence.attend import attend


class MaskedAttention(keras.layers.Layer):
    """Attention of a sequence to itself; a subclass says which places see which.

    Args:
        num_heads: int. It divides D.
        dropout: float. Rate of the weights.
        use_output_projection: bool. One more dense layer over the heads' outputs.
        seed: int or `None`. Seed of the dropout.

    Call arguments:
        inputs: list of what asks `(B, T, D)`, what is asked `(B, T, D)` and a bool mask
            `(B, T)`, true where something is there.

    Output shape: `(B, T, D)`. Padding is not seen; what sees nothing gives zeros, or
        the bias of the output projection.
    """

    def __init__(self, num_heads, dropout, use_output_projection, seed, **kwargs):
        super().__init__(**kwargs)
        (self.num_heads,) = checked_sizes("num_heads", (num_heads,))
        self.dropout = dropout
        self.use_output_projection = use_output_projection
        self.seed = seed

    @abc.abstractmethod
    def places_seen(self, length):
        """Which place sees which, bool `(T, T)`; padding aside."""

    def build(self, input_shape):
        """Creates the projections."""
        dim = self._checked_dim(input_shape)
        names = ["query", "key", "value", "output_projection"]
        if not self.use_output_projection:
            names.pop()
        self.projections = []
        for name in names:
            dense = keras.layers.Dense(dim, dtype=self.dtype_policy, name=name)
            dense.build((None, None, dim))
            self.projections.append(dense)
        self.weights_dropout = keras.layers.Dropout(
            self.dropout, seed=self.seed, dtype=self.dtype_policy, name="dropout"
        )
        self.weights_dropout.build(())
        self.built = True

    def call(self, inputs, training=None):
        """Returns what each place saw."""
        asking, asked, mask = inputs
        return self.output_of(self.look(*self.project(asking, asked), mask, training))

    def project(self, asking, asked):
        """Query, key and value of each place."""
        return [dense(x) for dense, x in zip(self.projections, (asking, asked, asked))]

    def output_of(self, seen):
        """The output projection, where there is one."""
        return self.projections[3](seen) if self.use_output_projection else seen

    def look(self, query, key, value, mask, training=None):
        """What each place saw `(B, T, D)`, before the output projection.

        Args:
            query: `(B, T, D)`, of all heads side by side, as are the two next.
            key: `(B, T, D)`.
            value: `(B, T, D)`.
            mask: bool `(B, T)`.
            training: bool or `None`.
        """
        length, dim = ops.shape(query)[1], query.shape[-1]
        shape = (-1, length, self.num_heads, dim // self.num_heads)
        heads = [ops.reshape(x, shape) for x in (query, key, value)]  # (B, T, A, D / A)
        is_there = ops.expand_dims(ops.cast(mask, "bool"), 1)  # (B, 1, T)
        seen = ops.logical_and(is_there, self.places_seen(length))  # (B, T, T)
        output = attend(*heads, seen, self.weights_dropout, training)
        return ops.reshape(output, (-1, length, dim))

    def compute_output_shape(self, input_shape):
        """As what asks."""
        return tuple(input_shape[0])

    def get_config(self):
        """Constructor arguments."""
        config = {
            "num_heads": self.num_heads,
            "dropout": self.dropout,
            "use_output_projection": self.use_output_projection,
            "seed": self.seed,
        }
        return {**super().get_config(), **config}

    def _checked_dim(self, input_shape):
        shapes = [tuple(s) for s in input_shape if isinstance(s, (tuple, list))]
        ranks = [len(shape) for shape in shapes]
        dim = shapes[0][-1] if ranks == [3, 3, 2] else None
        if dim is None or shapes[1][-1] != dim:
            raise ValueError(
                f"The inputs of {type(self).__name__} must be [what asks (batch, time, "
                "dim), what is asked (batch, time, dim), mask (batch, time)] of one "
                f"dim. Received: shape={input_shape}"
            )
        if dim % self.num_heads:
            raise ValueError(
                f"`num_heads` must divide the dim of the inputs, {dim}. Received: "
                f"num_heads={self.num_heads}"
            )
        return dim
