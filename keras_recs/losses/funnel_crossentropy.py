"""Binary cross-entropy of probabilities along a funnel."""

import keras
from keras import ops

from keras_recs.register import register

# The least normal number of float32, and the greatest below 1.
_LEAST, _GREATEST = 2.0**-126, 1.0 - 2.0**-24


@register
class FunnelCrossentropy(keras.losses.Loss):
    """Binary cross-entropy that also learns of very small probabilities.

    A purchase may be as rare as 1e-9: a product of the steps of a funnel. Keras's own
    cross-entropy has no gradient below 1e-7 where it does not find the logits that a
    probability is the sigmoid of, as under JAX. This one takes the logits where they
    are found, else the logarithm of the probability itself, down to 1e-38.

    Args:
        reduction: as in every Keras loss. Defaults to `"sum_over_batch_size"`.
        name: string. Defaults to `"funnel_crossentropy"`.

    Call arguments:
        y_true: 0 or 1, `(B, 1)` or `(B,)`.
        y_pred: probabilities, of as many values.
        sample_weight: `(B,)`. Defaults to `None`.

    Example:
    >>> loss = keras_recs.losses.FunnelCrossentropy()
    >>> round(float(loss(np.array([[1.0]]), np.array([[1e-9]]))), 2)  # 9 log 10
    20.72
    """

    def __init__(
        self, reduction="sum_over_batch_size", name="funnel_crossentropy", **kwargs
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred):
        """Returns the loss of each example `(B,)`."""
        y_true = ops.reshape(y_true, ops.shape(y_pred))  # (B, 1) beside (B,) is (B, B)
        logits = getattr(y_pred, "_keras_logits", None)  # Keras notes them if it can
        if logits is not None:
            loss = ops.binary_crossentropy(y_true, logits, from_logits=True)
        else:
            p = ops.clip(ops.cast(y_pred, "float32"), _LEAST, _GREATEST)
            y = ops.cast(y_true, "float32")
            loss = -(y * ops.log(p) + (1.0 - y) * ops.log1p(-p))
        return ops.mean(loss, axis=-1) if len(y_pred.shape) > 1 else loss

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "reduction": self.reduction, "name": self.name}
