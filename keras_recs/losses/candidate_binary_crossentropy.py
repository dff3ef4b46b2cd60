"""Binary cross-entropy of a positive and sampled negatives."""

from keras import ops

from keras_recs.losses.candidate_loss import CandidateLoss
from keras_recs.losses.mean_of_negatives import mean_of_negatives
from keras_recs.register import register


@register
class CandidateBinaryCrossentropy(CandidateLoss):
    """−log σ(r⁺) − Σ_j w_j log(1 − σ(r_j)) over the negatives of a position.

    The loss of SASRec, with one negative a position there. The more negatives, the more
    a model trained with it overestimates probabilities; see
    `GeneralizedBinaryCrossentropy`.

    Args:
        average_negatives: bool. The mean over the negatives that count in place of the
            sum, so that they weigh as much as the positive. Defaults to `False`.
        reduction: as in every Keras loss; a mean is over the positions that count.
            Defaults to `"sum_over_batch_size"`.
        name: string. Defaults to `"candidate_binary_crossentropy"`.

    Call arguments:
        y_true: `(..., 1 + n)`, 1 for a candidate that counts. The first entry weighs
            the position, 0 for padding; the others weigh the terms of the negatives, 0
            for one that does not count.
        y_pred: scores (logits) `(..., 1 + n)`, the positive first.
        sample_weight: of the positions, `(...)` or its first axes. Defaults to `None`.

    Raises:
        ValueError: for shapes that differ, and without a negative.

    Example:
    >>> loss = keras_recs.losses.CandidateBinaryCrossentropy()
    >>> counts = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 0]])  # the last is padding
    >>> round(float(loss(counts, np.zeros((3, 3)))), 4)  # (3 log 2 + 2 log 2) / 2
    1.7329

    Reference: [Kang and McAuley, 2018](https://arxiv.org/abs/1808.09781), section III.E
    """

    def __init__(
        self,
        average_negatives=False,
        reduction="sum_over_batch_size",
        name="candidate_binary_crossentropy",
        **kwargs,
    ):
        super().__init__(reduction=reduction, name=name, **kwargs)
        self.average_negatives = average_negatives

    def position_loss(self, positive, negatives, weights):
        """The loss `(...)` of positions that all count."""
        terms = ops.softplus(negatives)  # −log(1 − σ(r))
        if self.average_negatives:
            others = mean_of_negatives(terms, weights)
        else:
            others = ops.sum(weights * terms, axis=-1)
        return ops.softplus(-positive)[..., 0] + others

    def get_config(self):
        """Constructor arguments."""
        config = {"average_negatives": self.average_negatives}
        return {**super().get_config(), **config}
