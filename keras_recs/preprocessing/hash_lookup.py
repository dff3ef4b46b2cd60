"""Strings to rows of a table by their hash."""

import keras
import tensorflow as tf

from keras_recs.preprocessing.row_dtype import row_dtype
from keras_recs.register import register


@register
class HashLookup(keras.layers.Layer):
    """Rows of a table for strings, by FarmHash fingerprint.

    The empty string (missing, padding) gives row 0. Rows 1 … `num_oov` stay for
    missing values, so that a table reads the same whatever its kind.

    Args:
        hash_bins: int. Number of hash buckets.
        num_oov: int. Number of rows before the first bucket. Defaults to `1`.

    Input shape: any, string.
    Output shape: as the input, int32, or int64 where the table has 2³¹ rows or more.
    """

    def __init__(self, hash_bins, num_oov=1, **kwargs):
        super().__init__(**{"trainable": False, **kwargs})
        self.hash_bins = hash_bins
        self.num_oov = num_oov

    def call(self, inputs):
        """Returns the rows of `inputs`."""
        bins = tf.strings.to_hash_bucket_fast(inputs, self.hash_bins)
        rows = bins + (1 + self.num_oov)
        return tf.cast(
            tf.where(inputs == "", tf.zeros_like(rows), rows),
            row_dtype(1 + self.num_oov + self.hash_bins),
        )

    def compute_output_spec(self, inputs):
        """As `call`, of the input's shape."""
        return keras.KerasTensor(
            inputs.shape, row_dtype(1 + self.num_oov + self.hash_bins)
        )

    def get_config(self):
        """Constructor arguments."""
        config = {"hash_bins": self.hash_bins, "num_oov": self.num_oov}
        return {**super().get_config(), **config}
