"""The share of negatives above the positive, made smooth."""

from keras import ops

from keras_recs.losses.candidate_loss import CandidateLoss
from keras_recs.losses.mean_of_negatives import mean_of_negatives
from keras_recs.register import register


@register
class Top1(CandidateLoss):
    """The mean of σ(r_j − r⁺) + σ(r_j²) over the negatives of a position.

    The first term approximates the share of negatives above the positive, the second
    draws the scores of negatives towards 0.

    Args:
        reduction: as in every Keras loss; a mean is over the positions that count.
            Defaults to `"sum_over_batch_size"`.
        name: string. Defaults to `"top1"`.

    Call arguments:
        y_true: `(..., 1 + n)`, 1 for a candidate that counts. The first entry weighs
            the position, 0 for padding; the others weigh the terms of the negatives, 0
            for one that does not count. A position without negatives has the loss 0.
        y_pred: scores `(..., 1 + n)`, the positive first.
        sample_weight: of the positions, `(...)` or its first axes. Defaults to `None`.

    Raises:
        ValueError: for shapes that differ, and without a negative.

    Example:
    >>> loss = keras_recs.losses.Top1()
    >>> float(loss(np.ones((2, 4)), np.zeros((2, 4))))
    1.0

    Reference: [Hidasi et al., 2016](https://arxiv.org/abs/1511.06939), section 3.3
    """

    def __init__(self, reduction="sum_over_batch_size", name="top1", **kwargs):
        super().__init__(reduction=reduction, name=name, **kwargs)

    def position_loss(self, positive, negatives, weights):
        """The loss `(...)` of positions that all count."""
        above = ops.sigmoid(negatives - positive)
        return mean_of_negatives(above + ops.sigmoid(ops.square(negatives)), weights)
