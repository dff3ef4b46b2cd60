"""Binary cross-entropy that sampled negatives do not make overconfident."""

from keras import ops

from keras_recs.losses.candidate_loss import CandidateLoss
from keras_recs.register import register


@register
class GeneralizedBinaryCrossentropy(CandidateLoss):
    """gBCE: [−β log σ(r⁺) − Σ_j w_j log(1 − σ(r_j))] / (k + 1).

    k is the number of negatives that count. They are a sample of the share
    α = k / (V − 1) of the other items, so that σ(r) overestimates the probability; the
    exponent β = α·(t·(1 − 1/α) + 1/α) on σ(r⁺) makes up for it. With t = 0 β is 1,
    binary cross-entropy; with t = 1 it is α, and the probabilities are calibrated.

    Made for negatives drawn uniformly from all items, those of the user included.

    Args:
        num_items: int of at least 2. Items to draw from, without padding: V.
        calibration: float in 0 … 1. The t. Defaults to `0.75`.
        reduction: as in every Keras loss; a mean is over the positions that count.
            Defaults to `"sum_over_batch_size"`.
        name: string. Defaults to `"generalized_binary_crossentropy"`.

    Call arguments:
        y_true: `(..., 1 + n)`, 1 for a candidate that counts. The first entry weighs
            the position, 0 for padding; the others weigh the terms of the negatives, 0
            for one that does not count.
        y_pred: scores (logits) `(..., 1 + n)`, the positive first.
        sample_weight: of the positions, `(...)` or its first axes. Defaults to `None`.

    Raises:
        ValueError: for arguments out of range, shapes that differ, and without a
            negative.

    Example:
    >>> loss = keras_recs.losses.GeneralizedBinaryCrossentropy(9, calibration=1.0)
    >>> found = loss(np.ones((1, 3)), np.zeros((1, 3)))  # α = β = 2/8
    >>> round(float(found), 4)  # (log 2 / 4 + 2 log 2) / 3
    0.5199

    Reference: [Petrov and Macdonald, 2023](https://arxiv.org/abs/2308.07192)
    """

    def __init__(
        self,
        num_items,
        calibration=0.75,
        reduction="sum_over_batch_size",
        name="generalized_binary_crossentropy",
        **kwargs,
    ):
        super().__init__(reduction=reduction, name=name, **kwargs)
        if not isinstance(num_items, int) or num_items < 2:
            raise ValueError(
                "`num_items` must be an integer of at least 2. Received: "
                f"num_items={num_items!r}"
            )
        if not 0 <= calibration <= 1:
            raise ValueError(
                f"`calibration` must be in 0 … 1. Received: calibration={calibration!r}"
            )
        self.num_items = num_items
        self.calibration = calibration

    def position_loss(self, positive, negatives, weights):
        """The loss `(...)` of positions that all count."""
        count = ops.sum(ops.cast(weights > 0, "float32"), axis=-1)  # (...)
        alpha = ops.minimum(count / (self.num_items - 1), 1.0)
        # β multiplied out: no division by an α of 0.
        beta = 1.0 - self.calibration * (1.0 - alpha)
        own = beta * ops.softplus(-positive)[..., 0]
        others = ops.sum(weights * ops.softplus(negatives), axis=-1)
        return (own + others) / (count + 1.0)

    def get_config(self):
        """Constructor arguments."""
        config = {"num_items": self.num_items, "calibration": self.calibration}
        return {**super().get_config(), **config}
