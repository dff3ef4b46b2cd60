"""The interacting layer of AutoInt."""

import math

import keras
from keras import ops

from keras_recs.register import register


@register
class FieldAttention(keras.layers.Layer):
    """Lets each field read all fields, itself included, through attention heads.

    A head compares linear maps of the fields, without biases, and each field becomes
    the sum of the mapped fields by its weights. The heads are concatenated.

    Args:
        num_heads: int. Defaults to `2`.
        projection_dim: int. Length of the queries, keys and values of a head. Defaults
            to `32`.
        use_residual: bool. Add the field itself, through a matrix where its length is
            not that of the output. Defaults to `True`.
        scaled: bool. Divide the scores by the root of `projection_dim`; the paper does
            not. Defaults to `False`.
        activation: Keras activation of the output. Defaults to `"relu"`.
        dropout: float. Rate of the attention weights. Defaults to `0.0`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Call arguments:
        inputs: fields `(B, F, D)`.
        return_attention_scores: bool. Return the weights too, before dropout. Defaults
            to `False`.

    Output shape: `(B, F, num_heads · projection_dim)`; with the weights a pair of that
        and `(B, num_heads, F, F)`, where row m of a head holds what field m reads.

    Raises:
        ValueError: for sizes that are not positive integers, or an input that is not of
            rank 3.

    Example:
    >>> layer = keras_recs.layers.FieldAttention(num_heads=2, projection_dim=5)
    >>> outputs, weights = layer(np.ones((2, 3, 4)), return_attention_scores=True)
    >>> tuple(outputs.shape), tuple(weights.shape)
    ((2, 3, 10), (2, 2, 3, 3))

    Reference: [Song et al., 2019](https://arxiv.org/abs/1810.11921):
    α^h_mk = softmax_k ⟨W^h_Q e_m, W^h_K e_k⟩, ẽ^h_m = Σ_k α^h_mk W^h_V e_k,
    ReLU(ẽ_m + W_Res e_m)
    """

    def __init__(
        self,
        num_heads=2,
        projection_dim=32,
        use_residual=True,
        scaled=False,
        activation="relu",
        dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (
            ("num_heads", num_heads),
            ("projection_dim", projection_dim),
        ):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{name}` must be a positive integer. Received: {name}={value!r}"
                )
        self.num_heads = num_heads
        self.projection_dim = projection_dim
        self.use_residual = use_residual
        self.scaled = scaled
        self.activation = keras.activations.get(activation)
        self.dropout = dropout
        self.seed = seed

    def build(self, input_shape):
        """Creates the projections."""
        if len(input_shape) != 3 or input_shape[-1] is None:
            raise ValueError(
                "The input of FieldAttention must have shape (batch, fields, dim). "
                f"Received: shape={tuple(input_shape)}"
            )
        shape = tuple(input_shape)
        self.query = self._projection("query", shape)
        self.key = self._projection("key", shape)
        self.value = self._projection("value", shape)
        self.residual = None
        if self.use_residual and shape[-1] != self._width:
            self.residual = self._projection("residual", shape)
        self.drop = None
        if self.dropout:
            self.drop = keras.layers.Dropout(
                self.dropout, seed=self.seed, dtype=self.dtype_policy, name="drop"
            )
            self.drop.build((None, self.num_heads, shape[1], shape[1]))
        self.built = True

    def call(self, inputs, return_attention_scores=False, training=None):
        """Returns the new fields, and what each read of the others."""
        query, key, value = (
            self._heads(projection(inputs))
            for projection in (self.query, self.key, self.value)
        )  # (B, A, F, P)
        scores = ops.matmul(query, ops.swapaxes(key, -1, -2))  # (B, A, F, F)
        if self.scaled:
            scores = scores / math.sqrt(self.projection_dim)
        weights = ops.softmax(scores, axis=-1)
        kept = weights if self.drop is None else self.drop(weights, training=training)
        x = ops.transpose(ops.matmul(kept, value), (0, 2, 1, 3))  # (B, F, A, P)
        x = ops.reshape(x, (-1, inputs.shape[1], self._width))  # (B, F, A·P)
        if self.use_residual:
            x = x + (inputs if self.residual is None else self.residual(inputs))
        x = self.activation(x)
        return (x, weights) if return_attention_scores else x

    def compute_output_spec(self, inputs, return_attention_scores=False, training=None):
        """Shapes of the fields, and of the weights."""
        batch, fields = inputs.shape[:2]
        outputs = keras.KerasTensor((batch, fields, self._width), self.compute_dtype)
        if not return_attention_scores:
            return outputs
        shape = (batch, self.num_heads, fields, fields)
        return outputs, keras.KerasTensor(shape, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """`(B, F, num_heads · projection_dim)`."""
        return (*input_shape[:2], self._width)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "num_heads": self.num_heads,
            "projection_dim": self.projection_dim,
            "use_residual": self.use_residual,
            "scaled": self.scaled,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "seed": self.seed,
        }
        return {**super().get_config(), **config}

    @property
    def _width(self):
        return self.num_heads * self.projection_dim

    def _projection(self, name, shape):
        dense = keras.layers.Dense(
            self._width, use_bias=False, dtype=self.dtype_policy, name=name
        )
        dense.build(shape)
        return dense

    def _heads(self, x):
        shape = (-1, x.shape[1], self.num_heads, self.projection_dim)
        return ops.transpose(ops.reshape(x, shape), (0, 2, 1, 3))  # (B, A, F, P)
