"""TOP1 against the hardest of the negatives, softly chosen."""

from keras import ops

from keras_recs.losses.candidate_loss import CandidateLoss
from keras_recs.losses.log_shares import log_shares
from keras_recs.register import register


@register
class Top1Max(CandidateLoss):
    """Σ_j s_j [σ(r_j − r⁺) + σ(r_j²)], s the softmax over the negatives of a position.

    Args:
        reduction: as in every Keras loss; a mean is over the positions that count.
            Defaults to `"sum_over_batch_size"`.
        name: string. Defaults to `"top1_max"`.

    Call arguments:
        y_true: `(..., 1 + n)`, 1 for a candidate that counts. The first entry weighs
            the position, 0 for padding; the others weigh the shares of the negatives,
            s_j ∝ w_j e^{r_j}. A position without negatives has the loss 0.
        y_pred: scores `(..., 1 + n)`, the positive first.
        sample_weight: of the positions, `(...)` or its first axes. Defaults to `None`.

    Raises:
        ValueError: for shapes that differ, and without a negative.

    Example:
    >>> loss = keras_recs.losses.Top1Max()
    >>> round(float(loss(np.ones((2, 4)), np.zeros((2, 4)))), 4)
    1.0

    Reference: [Hidasi and Karatzoglou, 2018](https://arxiv.org/abs/1706.03847)
    """

    def __init__(self, reduction="sum_over_batch_size", name="top1_max", **kwargs):
        super().__init__(reduction=reduction, name=name, **kwargs)

    def position_loss(self, positive, negatives, weights):
        """The loss `(...)` of positions that all count."""
        shares = ops.exp(log_shares(negatives, weights))  # (..., n)
        above = ops.sigmoid(negatives - positive)
        terms = above + ops.sigmoid(ops.square(negatives))
        loss = ops.sum(shares * terms, axis=-1)
        return ops.where(ops.any(weights > 0, axis=-1), loss, 0.0)
