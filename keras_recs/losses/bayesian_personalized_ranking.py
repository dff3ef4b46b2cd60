"""Pairs of a positive and a negative."""

from keras import ops

from keras_recs.losses.candidate_loss import CandidateLoss
from keras_recs.losses.mean_of_negatives import mean_of_negatives
from keras_recs.register import register


@register
class BayesianPersonalizedRanking(CandidateLoss):
    """BPR: the mean of −log σ(r⁺ − r_j) over the negatives of a position.

    Args:
        reduction: as in every Keras loss; a mean is over the positions that count.
            Defaults to `"sum_over_batch_size"`.
        name: string. Defaults to `"bayesian_personalized_ranking"`.

    Call arguments:
        y_true: `(..., 1 + n)`, 1 for a candidate that counts. The first entry weighs
            the position, 0 for padding; the others weigh the terms of the negatives, 0
            for one that does not count. A position without negatives has the loss 0.
        y_pred: scores `(..., 1 + n)`, the positive first.
        sample_weight: of the positions, `(...)` or its first axes. Defaults to `None`.

    Raises:
        ValueError: for shapes that differ, and without a negative.

    Example:
    >>> loss = keras_recs.losses.BayesianPersonalizedRanking()
    >>> round(float(loss(np.ones((2, 4)), np.zeros((2, 4)))), 4)  # log 2
    0.6931

    Reference: [Rendle et al., 2009](https://arxiv.org/abs/1205.2618)
    """

    def __init__(
        self,
        reduction="sum_over_batch_size",
        name="bayesian_personalized_ranking",
        **kwargs,
    ):
        super().__init__(reduction=reduction, name=name, **kwargs)

    def position_loss(self, positive, negatives, weights):
        """The loss `(...)` of positions that all count."""
        return mean_of_negatives(ops.softplus(negatives - positive), weights)
