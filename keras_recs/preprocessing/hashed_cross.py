"""Combinations of categorical values to rows of a table."""

import keras
import tensorflow as tf

from keras_recs.preprocessing.row_dtype import row_dtype
from keras_recs.register import register
from keras_recs.schema import MISSING_ID


@register
class HashedCross(keras.layers.Layer):
    """Row of a table for a combination of raw values, by its hash.

    The values are joined by the unit separator (U+001F) and hashed; a combination with
    a missing value gives row 1.

    Args:
        hash_bins: int. Number of hash buckets.

    Call arguments:
        inputs: list of tensors of one shape, string or int64, in the order of the keys.

    Output shape: as one input, int32, or int64 where the table has 2³¹ rows or more.
    """

    def __init__(self, hash_bins, **kwargs):
        super().__init__(**{"trainable": False, **kwargs})
        self.hash_bins = hash_bins

    def call(self, inputs):
        """Returns the rows of the combinations."""
        missing = tf.zeros(tf.shape(inputs[0]), tf.bool)
        parts = []
        for values in inputs:
            if values.dtype == tf.string:
                missing |= values == ""
                parts.append(values)
            else:
                missing |= values == MISSING_ID
                parts.append(tf.strings.as_string(values))
        joined = tf.strings.join(parts, separator="\x1f")
        rows = 2 + tf.strings.to_hash_bucket_fast(joined, self.hash_bins)
        return tf.cast(
            tf.where(missing, tf.ones_like(rows), rows), row_dtype(2 + self.hash_bins)
        )

    def compute_output_spec(self, inputs):
        """As `call`, of one input's shape."""
        return keras.KerasTensor(inputs[0].shape, row_dtype(2 + self.hash_bins))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "hash_bins": self.hash_bins}
