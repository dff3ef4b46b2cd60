"""Logistic regression whose odds are the expected watch time."""

import keras
from keras import ops

from keras_recs.register import register

# Below every e^z of `PredictionHeads`, and its square is a float32 number still.
_LEAST_TIME = 1e-15


@register
class WeightedLogisticLoss(keras.losses.Loss):
    """Weighted logistic regression on watch times.

    An impression that was watched for the time T is a positive example of weight T, one
    that was not is a negative of weight 1. With the logit z and the prediction
    y = e^z, the odds,

        T > 0:  −T·log σ(z)      =  T·log(1 + 1/y)
        T = 0:  −log(1 − σ(z))   =  log(1 + y)

    The odds that minimize it on N impressions of which k were watched are
    Σ T / (N − k). That is E[T] / (1 − P) with the mean E[T] of T over all impressions
    and P = k / N: it exceeds the mean watch time, by little where P is small.

    The prediction is the time itself, as `PredictionHeads` gives it for the task
    `"watch_time"`; there the logit is clipped to ±30, so loss and gradient are
    finite for every weight of the model. A prediction below 1e-15 counts as 1e-15.

    Args:
        reduction: as in every Keras loss. Defaults to `"sum_over_batch_size"`.
        name: string. Defaults to `"weighted_logistic_loss"`.

    Call arguments:
        y_true: watch times `(B, 1)` or `(B,)` of at least 0, in any unit; the
            prediction has the same. What is not above 0 is taken as not watched.
        y_pred: predicted times, positive, of as many values.
        sample_weight: `(B,)`, beside the weight T. Defaults to `None`.

    Example:
    >>> loss = keras_recs.losses.WeightedLogisticLoss()
    >>> times, predicted = np.array([[3.0], [0.0]]), np.array([[1.0], [1.0]])
    >>> round(float(loss(times, predicted)), 4)  # (3 log 2 + log 2) / 2
    1.3863

    Reference: [Covington et al., 2016](https://doi.org/10.1145/2959100.2959190),
    section 4.2.
    """

    def __init__(
        self,
        reduction="sum_over_batch_size",
        name="weighted_logistic_loss",
        **kwargs,
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred):
        """Returns the loss of each example `(B,)`."""
        y_true = ops.reshape(y_true, ops.shape(y_pred))  # (B, 1) beside (B,) is (B, B)
        time = ops.maximum(y_pred, _LEAST_TIME)
        watched = y_true * ops.log1p(1 / time)
        loss = ops.where(y_true > 0, watched, ops.log1p(time))
        return ops.mean(loss, axis=-1) if len(y_pred.shape) > 1 else loss

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "reduction": self.reduction, "name": self.name}
