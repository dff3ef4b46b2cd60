"""The models as functional Keras 3, for the peers that bring layers and no models."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
from keras import layers, ops
from peer_run import CROSS_LAYERS, INITIAL_ACCUMULATOR, LEARNING_RATE


class DotPairs(layers.Layer):
    """Dot products of all pairs of fields."""

    def build(self, input_shapes):
        """Finds the places of the strictly lower triangle."""
        fields = len(input_shapes)
        row, column = np.tril_indices(fields, k=-1)
        self._places = (row * fields + column).astype("int32")

    def call(self, fields):
        """List of F fields `(B, D)` to `(B, F(F − 1)/2)`."""
        x = ops.stack(fields, axis=1)  # (B, F, D)
        products = ops.matmul(x, ops.transpose(x, (0, 2, 1)))  # (B, F, F)
        flat = ops.reshape(products, (-1, len(fields) ** 2))  # (B, F·F)
        return ops.take(flat, self._places, axis=1)


class NumberFields(layers.Layer):
    """A vector for each number, times the number."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def build(self, input_shape):
        """Creates the vectors."""
        self.vectors = self.add_weight(
            shape=(input_shape[-1], self.dim), initializer="uniform", name="vectors"
        )

    def call(self, x):
        """`(B, N)` to `(B, N, D)`."""
        return x[:, :, None] * self.vectors


class FM(layers.Layer):
    """Inner products of all pairs of fields, summed."""

    def call(self, x):
        """`(B, F, D)` to `(B, 1)`."""
        pairs = ops.square(ops.sum(x, 1)) - ops.sum(ops.square(x), 1)  # (B, D)
        return 0.5 * ops.sum(pairs, axis=-1, keepdims=True)


class Cross(layers.Layer):
    """x0 ⊙ (W x + b) + x."""

    def build(self, x0_shape, x_shape):
        """Creates the matrix."""
        self.dense = layers.Dense(x0_shape[-1])
        self.dense.build(x0_shape)

    def call(self, x0, x):
        """`(B, N)`."""
        return x0 * self.dense(x) + x


def embed_each(spec, ids, dim):
    """A `keras.layers.Embedding` a feature: list of `(B, D)`."""
    return [layers.Embedding(spec.rows, dim)(x) for x in ids]


def build(spec, embed=embed_each, dot=DotPairs, cross=Cross):
    """Builds and compiles the model of a spec.

    Args:
        spec: the cell.
        embed: function of the spec, the list of id inputs and the dimension, to a list
            of `(B, D)`. Defaults to stock Keras.
        dot: makes the layer of dot products. Defaults to one on `keras.ops`.
        cross: makes a cross layer. Defaults to one on `keras.ops`.

    Returns:
        Compiled `keras.Model` of `C0 …` and `I0 …`.
    """
    ids = [keras.Input((), name=f"C{i}", dtype="int32") for i in range(spec.features)]
    singles = [keras.Input((), name=f"I{i}") for i in range(spec.numbers)]
    numbers = ops.stack(singles, axis=1)  # (B, 13)
    fields = embed(spec, ids, spec.dim)
    if spec.model == "dlrm":
        dense = _mlp(numbers, (*spec.mlp, spec.dim))  # (B, D)
        pairs = dot()([dense, *fields])
        logit = layers.Dense(1)(_mlp(ops.concatenate([dense, pairs], 1), spec.mlp))
    elif spec.model == "deepfm":
        stacked = ops.concatenate(
            [ops.stack(fields, axis=1), NumberFields(spec.dim)(numbers)], axis=1
        )  # (B, 39, D)
        linear = [*embed(spec, ids, 1), layers.Dense(1)(numbers)]
        deep = layers.Dense(1)(_mlp(layers.Flatten()(stacked), spec.mlp))
        logit = layers.Add()([*linear, FM()(stacked), deep])
    else:
        x = crossed = ops.concatenate([*fields, numbers], axis=1)  # (B, N)
        for _ in range(CROSS_LAYERS):
            crossed = cross()(x, crossed)
        logit = layers.Dense(1)(ops.concatenate([crossed, _mlp(x, spec.mlp)], 1))
    inputs = {x.name: x for x in [*ids, *singles]}
    model = keras.Model(inputs, logit)
    model.compile(
        keras.optimizers.Adagrad(
            LEARNING_RATE, initial_accumulator_value=INITIAL_ACCUMULATOR
        ),
        keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model


def _mlp(x, hidden):
    for units in hidden:
        x = layers.Dense(units, activation="relu")(x)
    return x
