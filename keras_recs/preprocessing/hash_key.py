"""Strings to the keys of a table that grows while a model trains."""

import keras
import tensorflow as tf

from keras_recs.register import register

NUM_KEYS = 2**63 - 1


@register
class HashKey(keras.layers.Layer):
    """Keys 1 … 2⁶³ − 1 for strings, by FarmHash fingerprint.

    The empty string (missing, padding) gives 0. Of n strings any two have the same key
    with probability n²/2⁶⁴: 5e-8 for a million, 5e-4 for a hundred million. FarmHash
    is no secret: who may choose the strings can make them meet.

    Input shape: any, string.
    Output shape: as the input, int64.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"trainable": False, **kwargs})

    def call(self, inputs):
        """Returns the keys of `inputs`."""
        keys = 1 + tf.strings.to_hash_bucket_fast(inputs, NUM_KEYS)
        return tf.where(inputs == "", tf.zeros_like(keys), keys)

    def compute_output_spec(self, inputs):
        """Int64 of the input's shape."""
        return keras.KerasTensor(inputs.shape, "int64")
