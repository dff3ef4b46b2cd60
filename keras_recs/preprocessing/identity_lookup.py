"""Integer ids, as they are, to rows of a table."""

import keras
import tensorflow as tf

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
    Output shape: as the input, int32.
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
        return tf.cast(rows, tf.int32)

    def compute_output_spec(self, inputs):
        """Int32 of the input's shape."""
        return keras.KerasTensor(inputs.shape, "int32")

    def get_config(self):
        """Constructor arguments."""
        config = {"vocabulary_size": self.vocabulary_size, "num_oov": self.num_oov}
        return {**super().get_config(), **config}
