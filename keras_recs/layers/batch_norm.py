"""Batch normalization on several replicas."""

import keras
from keras import ops

from keras_recs.register import register


@register
class BatchNorm(keras.layers.BatchNormalization):
    """Keras's batch normalization, for replicas of which some have no example.

    At the end of an epoch a replica may train an empty batch. Its mean would be NaN;
    here it is the moving average, which stays as it was. After each step the moving
    averages of all replicas are one, their mean, so that all have the same model.

    Args:
        **kwargs: as `keras.layers.BatchNormalization` takes them.

    Call arguments:
        inputs: `(B, …, N)`.
        mask: bool `(B, …)`, true where a position counts. Defaults to `None`.

    Output shape: as the inputs.

    Example:
    >>> tuple(keras_recs.layers.BatchNorm()(np.ones((2, 3))).shape)
    (2, 3)

    Reference: [Ioffe & Szegedy, 2015](https://arxiv.org/abs/1502.03167)
    """

    def add_weight(self, *args, trainable=True, aggregation=None, **kwargs):
        """Adds a variable; replicas keep one value of what no gradient trains."""
        if aggregation is None:
            aggregation = "none" if trainable else "mean"
        return super().add_weight(
            *args, trainable=trainable, aggregation=aggregation, **kwargs
        )

    def _moments(self, inputs, mask):
        mean, variance = super()._moments(inputs, mask)
        if mask is None:
            there = ops.size(inputs) > 0
        else:
            there = ops.any(mask)
        old_mean, old_variance = (
            ops.reshape(ops.cast(moving, mean.dtype), ops.shape(mean))
            for moving in (self.moving_mean, self.moving_variance)
        )
        mean = ops.where(there, mean, old_mean)  # (N,)
        return mean, ops.where(there, variance, old_variance)
