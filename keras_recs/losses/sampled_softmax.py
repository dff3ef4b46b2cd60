"""Cross-entropy over a positive and sampled negatives."""

from keras import ops

from keras_recs.losses.candidate_loss import CandidateLoss
from keras_recs.losses.log_shares import log_weights
from keras_recs.register import register


@register
class SampledSoftmax(CandidateLoss):
    """−log [e^{r⁺/τ} / (e^{r⁺/τ} + Σ_j w_j e^{r_j/τ})], softmax over the candidates.

    It estimates the softmax over all items where the scores are corrected by the
    probabilities of the sampler: see `correct_scores`, which divides by the
    temperature itself.

    Args:
        temperature: float above 0. The τ; 1 for scores of `correct_scores`. Defaults to
            `1.0`.
        reduction: as in every Keras loss; a mean is over the positions that count.
            Defaults to `"sum_over_batch_size"`.
        name: string. Defaults to `"sampled_softmax"`.

    Call arguments:
        y_true: `(..., 1 + n)`, 1 for a candidate that counts. The first entry weighs
            the position, 0 for padding; the others weigh e^{r_j/τ}, 0 for a negative
            that does not count. A position without negatives has the loss 0.
        y_pred: scores `(..., 1 + n)`, the positive first.
        sample_weight: of the positions, `(...)` or its first axes. Defaults to `None`.

    Raises:
        ValueError: for a `temperature` that is not positive, shapes that differ, and
            without a negative.

    Example:
    >>> loss = keras_recs.losses.SampledSoftmax()
    >>> counts = np.array([[1, 1, 1, 0]])  # the last negative is the positive once more
    >>> round(float(loss(counts, np.zeros((1, 4)))), 4)  # log 3
    1.0986
    """

    def __init__(
        self,
        temperature=1.0,
        reduction="sum_over_batch_size",
        name="sampled_softmax",
        **kwargs,
    ):
        super().__init__(reduction=reduction, name=name, **kwargs)
        if not 0 < temperature < float("inf"):
            raise ValueError(
                "`temperature` must be a number above 0. Received: "
                f"temperature={temperature!r}"
            )
        self.temperature = temperature

    def position_loss(self, positive, negatives, weights):
        """The loss `(...)` of positions that all count."""
        # Beside the positive, whose logit is then 0.
        logits = (negatives - positive) / self.temperature + log_weights(weights)
        return ops.softplus(ops.logsumexp(logits, axis=-1))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "temperature": self.temperature}
