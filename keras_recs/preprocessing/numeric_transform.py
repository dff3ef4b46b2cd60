"""Numbers to the scale on which a network learns."""

import keras
import numpy as np
import tensorflow as tf

from keras_recs.register import register


@register
class NumericTransform(keras.layers.Layer):
    """sign(x)·log(1 + |x|), then (x − mean) / std, or the quantile: as asked for.

    A missing value (NaN) or an infinite one is `default` before the transform, or 0
    after it (0.5 after quantiles).

    Args:
        log1p: bool. Take the signed logarithm. Defaults to `False`.
        mean: float. Subtracted after the logarithm. Defaults to `0.0`.
        std: float. Divides; 0 (a constant feature) counts as 1. Defaults to `1.0`.
        default: float. Raw value of a missing one. Defaults to `None`: 0 after the
            transform.
        quantiles: n + 1 non-decreasing floats, the values at 0, 1/n … 1 of the data. A
            number becomes its share of the way through them, in 0 … 1: the middle of
            those that equal it or, between two, linear between their places. They take
            the place of the other transforms. Defaults to `None`.

    Input shape: any, float32.
    Output shape: as the input, float32.
    """

    def __init__(
        self, log1p=False, mean=0.0, std=1.0, default=None, quantiles=None, **kwargs
    ):
        kwargs.setdefault("dtype", "float32")  # whatever the global policy
        super().__init__(**{"trainable": False, **kwargs})
        self.log1p = log1p
        self.mean = mean
        self.std = std
        self.default = default
        self.quantiles = None
        if quantiles is not None:
            self.quantiles = tuple(float(q) for q in quantiles)
            if len(self.quantiles) < 2 or list(self.quantiles) != sorted(
                self.quantiles
            ):
                raise ValueError(
                    "`quantiles` must be two or more non-decreasing numbers. Received: "
                    f"quantiles={quantiles}"
                )

    def call(self, inputs):
        """Returns the transformed numbers."""
        known = tf.math.is_finite(inputs)
        fill = 0.0 if self.default is None else self.default
        values = tf.where(known, inputs, tf.cast(fill, inputs.dtype))
        if self.quantiles is not None:
            ranks = self._ranks(values)
            if self.default is None:
                ranks = tf.where(known, ranks, tf.fill(tf.shape(ranks), 0.5))
            return tf.ensure_shape(ranks, inputs.shape)
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
        names = ("log1p", "mean", "std", "default", "quantiles")
        return {**super().get_config(), **{n: getattr(self, n) for n in names}}

    def _ranks(self, values):
        """The places of numbers among the quantiles, in 0 … 1."""
        quantiles = tf.constant(np.asarray(self.quantiles, "float32"))
        last = len(self.quantiles) - 1
        flat = tf.reshape(tf.cast(values, tf.float32), [-1])
        below = tf.searchsorted(quantiles, flat, side="left")
        up_to = tf.searchsorted(quantiles, flat, side="right")
        low = tf.gather(quantiles, tf.clip_by_value(below - 1, 0, last))
        high = tf.gather(quantiles, tf.clip_by_value(below, 0, last))
        way = tf.math.divide_no_nan(flat - low, high - low)
        between = tf.cast(below - 1, tf.float32) + tf.clip_by_value(way, 0.0, 1.0)
        middle = tf.cast(below + up_to - 1, tf.float32) / 2
        places = tf.where(up_to > below, middle, between)
        places = tf.clip_by_value(places, 0.0, float(last)) / last
        return tf.reshape(places, tf.shape(values))
