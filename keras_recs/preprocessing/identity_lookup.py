"""Integer ids, as they are, to rows of a table."""

import keras
import tensorflow as tf

from keras_recs.preprocessing.row_dtype import row_dtype
from keras_recs.register import register
from keras_recs.schema import MISSING_ID


@register
class IdentityLookup(keras.layers.Layer):
    """Rows of a table for integer ids 0 … `vocabulary_size` − 1.

    −1 (missing, padding) gives row 0, any other id outside the range one of the
    out-of-vocabulary rows 1 … `num_oov`, id 0 row 1 + `num_oov`.

    Args:
        vocabulary_size: int. Number of ids.
        num_oov: int. Number of out-of-vocabulary rows. Defaults to `1`.

    Input shape: any, int64.
    Output shape: as the input, int32, or int64 where the table has 2³¹ rows or more.
    """

    def __init__(self, vocabulary_size, num_oov=1, **kwargs):
        super().__init__(**{"trainable": False, **kwargs})
        self.vocabulary_size = vocabulary_size
        self.num_oov = num_oov

    def call(self, inputs):
        """Returns the rows of `inputs`."""
        known = (inputs >= 0) & (inputs < self.vocabulary_size)
        outside = 1 + tf.math.floormod(inputs, self.num_oov)
        rows = tf.where(known, inputs + (1 + self.num_oov), outside)
        rows = tf.where(inputs == MISSING_ID, tf.zeros_like(rows), rows)
        return tf.cast(rows, row_dtype(1 + self.num_oov + self.vocabulary_size))

    def compute_output_spec(self, inputs):
        """As `call`, of the input's shape."""
        return keras.KerasTensor(
            inputs.shape, row_dtype(1 + self.num_oov + self.vocabulary_size)
        )

    def get_config(self):
        """Constructor arguments."""
        config = {"vocabulary_size": self.vocabulary_size, "num_oov": self.num_oov}
        return {**super().get_config(), **config}
