"""BPR against the hardest of the negatives, softly chosen."""

from keras import ops

from keras_recs.losses.candidate_loss import CandidateLoss
from keras_recs.losses.log_shares import log_shares
from keras_recs.register import register


@register
class BPRMax(CandidateLoss):
    """−log Σ_j s_j σ(r⁺ − r_j) + λ Σ_j s_j r_j², s the softmax over the negatives.

    Args:
        regularization: float of at least 0. The λ. Defaults to `1.0`.
        reduction: as in every Keras loss; a mean is over the positions that count.
            Defaults to `"sum_over_batch_size"`.
        name: string. Defaults to `"bpr_max"`.

    Call arguments:
        y_true: `(..., 1 + n)`, 1 for a candidate that counts. The first entry weighs
            the position, 0 for padding; the others weigh the shares of the negatives,
            s_j ∝ w_j e^{r_j}. A position without negatives has the loss 0.
        y_pred: scores `(..., 1 + n)`, the positive first.
        sample_weight: of the positions, `(...)` or its first axes. Defaults to `None`.

    Raises:
        ValueError: for a negative `regularization`, shapes that differ, and without a
            negative.

    Example:
    >>> loss = keras_recs.losses.BPRMax()
    >>> round(float(loss(np.ones((2, 4)), np.zeros((2, 4)))), 4)  # log 2
    0.6931

    Reference: [Hidasi and Karatzoglou, 2018](https://arxiv.org/abs/1706.03847)
    """

    def __init__(
        self,
        regularization=1.0,
        reduction="sum_over_batch_size",
        name="bpr_max",
        **kwargs,
    ):
        super().__init__(reduction=reduction, name=name, **kwargs)
        if not 0 <= regularization < float("inf"):
            raise ValueError(
                "`regularization` must be a number of at least 0. Received: "
                f"regularization={regularization!r}"
            )
        self.regularization = regularization

    def position_loss(self, positive, negatives, weights):
        """The loss `(...)` of positions that all count."""
        shares = log_shares(negatives, weights)  # (..., n)
        logs = shares + ops.log_sigmoid(positive - negatives)
        loss = -ops.logsumexp(logs, axis=-1)
        squares = ops.sum(ops.exp(shares) * ops.square(negatives), axis=-1)
        loss = loss + self.regularization * squares
        return ops.where(ops.any(weights > 0, axis=-1), loss, 0.0)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "regularization": self.regularization}
