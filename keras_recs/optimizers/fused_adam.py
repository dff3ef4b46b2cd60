"""Keras's Adam in one pass."""

import keras
from keras import ops

from keras_recs.optimizers.apply_adam import apply_adam
from keras_recs.optimizers.sum_duplicates import is_sparse
from keras_recs.register import register


@register
class FusedAdam(keras.optimizers.Adam):
    """`keras.optimizers.Adam`, on TensorFlow by one operation a variable.

    For models whose tables are small, or all of which a step trains, such as those with
    a softmax over a whole catalogue; `LazyAdam` is for large tables of which a batch
    looks some rows up. Gradients of rows that a batch looks up several times are
    summed, as on the other backends, where this is Keras's Adam; on TensorFlow that
    squares each of them by itself.

    Args:
        *args: of `keras.optimizers.Adam`.
        **kwargs: likewise.

    Example:
    >>> keras_recs.optimizers.FusedAdam(0.001, beta_2=0.98).beta_2
    0.98

    Reference: [Kingma and Ba, 2015](https://arxiv.org/abs/1412.6980)
    """

    def apply(self, grads, trainable_variables=None):
        """As Keras; sparse gradients are whole ones first."""
        whole = [
            _whole(gradient) if is_sparse(gradient) else gradient for gradient in grads
        ]
        super().apply(whole, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable."""
        if (
            keras.backend.backend() != "tensorflow"
            or self.amsgrad
            or variable.dtype != "float32"
        ):
            super().update_step(gradient, variable, learning_rate)
            return

        index = self._get_variable_index(variable)
        slots = self._momentums[index], self._velocities[index]
        rate = ops.cast(learning_rate, "float32")
        apply_adam(variable, slots, gradient, rate, self)


def _whole(slices):
    import tensorflow as tf

    return tf.math.unsorted_segment_sum(
        slices.values, slices.indices, slices.dense_shape[0]
    )
