"""L2 on the rows of the batch."""

import keras
from keras import ops

from keras_recs.register import register


@register
class BatchL2(keras.regularizers.Regularizer):
    """Penalizes the rows that the batch looked up, each once, and no others.

    `FeatureEmbedding` adds λ Σ ‖w_j‖² / n_j over the different rows j of the batch.
    A regularizer of the whole table would read and write all of it at every step. On a
    weight that is not a table it is plain L2.

    Args:
        l2: float. Strength λ. Defaults to `0.01`.
        by_count: bool. Divide by n_j, how often id j occurs in the data, so that
            frequent ids are not penalized more; else n_j is 1. Training without the
            counts is an error (with JAX its loss is NaN):
            `keras_recs.training.set_row_counts` gives them. Defaults to `False`.

    Raises:
        ValueError: if `l2` is negative.

    Example:
    >>> layer = keras_recs.layers.FeatureEmbedding(
    ...     [keras_recs.layers.TableConfig("item", 10, 4)],
    ...     {"item": "item"},
    ...     embeddings_initializer="ones",
    ...     embeddings_regularizer=keras_recs.layers.BatchL2(0.5),
    ... )
    >>> output = layer({"item": np.array([3, 3, 5])}, training=True)
    >>> float(layer.losses[0])  # two rows of four ones
    4.0

    Reference: [Zhou et al., 2018](https://arxiv.org/abs/1706.06978), mini-batch aware
    regularization
    """

    def __init__(self, l2=0.01, by_count=False):
        if l2 < 0:
            raise ValueError(f"`l2` must not be negative. Received: l2={l2}")
        self.l2 = l2
        self.by_count = by_count

    def __call__(self, x):
        """Plain L2."""
        return self.l2 * ops.sum(ops.square(x))

    def of_rows(self, values, rows, is_padding, counts=None):
        """The penalty of a batch.

        Args:
            values: `(n, D)`, the rows that were read.
            rows: int `(n,)`, their numbers.
            is_padding: bool `(n,)`, true where a row does not count.
            counts: `(n,)` or `None`, how often each id occurs in the data.

        Returns:
            Scalar.
        """
        # Padding is counted as a row of its own, which no id has.
        share = 1.0 / ops.cast(occurrences(ops.where(is_padding, -1, rows)), "float32")
        if counts is not None:
            share = share / ops.maximum(counts, 1.0)
        share = ops.where(is_padding, 0.0, share)
        squares = ops.sum(ops.square(ops.cast(values, "float32")), axis=-1)  # (n,)
        return self.l2 * ops.sum(share * squares)

    def get_config(self):
        """Constructor arguments."""
        return {"l2": self.l2, "by_count": self.by_count}


def occurrences(rows):
    """How often each element of `(n,)` occurs in it."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        _, position, count = tf.unique_with_counts(rows)
        return tf.gather(count, position)
    ordered = ops.sort(rows)
    after = ops.searchsorted(ordered, rows, side="right")
    return after - ops.searchsorted(ordered, rows, side="left")
