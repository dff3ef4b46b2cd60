"""Numbers to the scale on which a network learns."""

import keras
import tensorflow as tf

from keras_recs.register import register


@register
class NumericTransform(keras.layers.Layer):
    """sign(x)·log(1 + |x|), then (x − mean) / std, each where asked for.

    A missing value (NaN) or an infinite one is `default` before the transform, or 0
    after it.

    Args:
        log1p: bool. Take the signed logarithm. Defaults to `False`.
        mean: float. Subtracted after the logarithm. Defaults to `0.0`.
        std: float. Divides; 0 (a constant feature) counts as 1. Defaults to `1.0`.
        default: float. Raw value of a missing one. Defaults to `None`: 0 after the
            transform.

    Input shape: any, float32.
    Output shape: as the input, float32.
    """

    def __init__(self, log1p=False, mean=0.0, std=1.0, default=None, **kwargs):
        kwargs.setdefault("dtype", "float32")  # whatever the global policy
        super().__init__(**{"trainable": False, **kwargs})
        self.log1p = log1p
        self.mean = mean
        self.std = std
        self.default = default

    def call(self, inputs):
        """Returns the transformed numbers."""
        known = tf.math.is_finite(inputs)
        fill = 0.0 if self.default is None else self.default
        values = tf.where(known, inputs, tf.cast(fill, inputs.dtype))
        if self.log1p:
            values = tf.sign(values) * tf.math.log1p(tf.abs(values))
        values = (values - self.mean) / (self.std or 1.0)
        if self.default is None:
            values = tf.where(known, values, tf.zeros_like(values))
        return values

    def compute_output_shape(self, input_shape):
        """Shape of the input."""
        return input_shape

    def get_config(self):
        """Constructor arguments."""
        names = ("log1p", "mean", "std", "default")
        return {**super().get_config(), **{n: getattr(self, n) for n in names}}
