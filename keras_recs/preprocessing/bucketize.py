"""Numbers to rows of a table by the bucket they fall into."""

import keras
import numpy as np
import tensorflow as tf

from keras_recs.register import register


@register
class Bucketize(keras.layers.Layer):
    """Rows of a table for numbers: row 2 + the count of boundaries ≤ x.

    A missing (NaN) or infinite number is `default`, or has row 1 to itself.

    Args:
        boundaries: increasing floats.
        default: float. Number that stands in for a missing one. Defaults to `None`.

    Input shape: any, float32.
    Output shape: as the input, int32.
    """

    def __init__(self, boundaries, default=None, **kwargs):
        kwargs.setdefault("dtype", "float32")  # whatever the global policy
        super().__init__(**{"trainable": False, **kwargs})
        self.boundaries = tuple(float(b) for b in boundaries)
        self.default = default

    def call(self, inputs):
        """Returns the rows of `inputs`."""
        known = tf.math.is_finite(inputs)
        fill = 0.0 if self.default is None else self.default
        values = tf.where(known, inputs, tf.cast(fill, inputs.dtype))
        flat = tf.reshape(values, [-1])
        boundaries = tf.constant(np.asarray(self.boundaries, "float32"))
        rows = 2 + tf.searchsorted(boundaries, flat, side="right")
        rows = tf.reshape(rows, tf.shape(inputs))
        if self.default is None:
            rows = tf.where(known, rows, tf.ones_like(rows))
        return tf.ensure_shape(rows, inputs.shape)

    def compute_output_spec(self, inputs):
        """Int32 of the input's shape."""
        return keras.KerasTensor(inputs.shape, "int32")

    def get_config(self):
        """Constructor arguments."""
        config = {"boundaries": self.boundaries, "default": self.default}
        return {**super().get_config(), **config}
