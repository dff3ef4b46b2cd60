"""Keras's Adam in one pass."""

import keras

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

        import tensorflow as tf

        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value, tf.float32) + 1.0
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
        )


def _whole(slices):
    import tensorflow as tf

    return tf.math.unsorted_segment_sum(
        slices.values, slices.indices, slices.dense_shape[0]
    )
