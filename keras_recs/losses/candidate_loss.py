"""What losses over a positive and sampled negatives share."""

import keras
from keras import ops


class CandidateLoss(keras.losses.Loss):
    """The loss of positions, each with a positive candidate and n negative ones.

    The mean is over the positions that count: a batch has the same loss however much
    padding it carries, and 0 if it is padding alone. On several replicas it is that of
    each one's part of the batch. A Keras mask of the scores changes nothing: `y_true`
    says what counts.

    Subclasses define `position_loss`.

    Args:
        reduction: as in every Keras loss. Defaults to `"sum_over_batch_size"`.
        name: string. Defaults to `None`: the name of the class.

    Call arguments:
        y_true: `(..., 1 + n)`, 1 for a candidate that counts. The first entry is that
            of the whole position: 0 for padding. Another is that of a negative: 0
            leaves it out. Other numbers weigh.
        y_pred: scores `(..., 1 + n)`, the positive first. What does not count may be
            anything, also NaN.
        sample_weight: of the positions, `(...)` or its first axes. Defaults to `None`.

    Raises:
        ValueError: for shapes that differ, and without a negative.
    """

    def __init__(self, reduction="sum_over_batch_size", name=None, **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Returns the loss: a scalar, or with `reduction=None` `(...)`."""
        y_true = ops.cast(ops.convert_to_tensor(y_true), "float32")
        y_pred = ops.cast(ops.convert_to_tensor(y_pred), "float32")
        _check_shapes(tuple(y_true.shape), tuple(y_pred.shape))
        there = y_true[..., :1] > 0  # (..., 1)
        y_true = ops.where(there, y_true, 0.0)
        # Also a tensor without Keras's mask, which would leave padding out once more.
        y_pred = ops.where(y_true > 0, y_pred, 0.0)
        there = ops.cast(there[..., 0], "float32")  # (...)
        weight = there
        if sample_weight is not None:
            weight = there * _aligned(sample_weight, len(there.shape))
        if self.reduction in ("sum_over_batch_size", "mean"):
            # Keras divides by the number of all positions.
            size = ops.cast(ops.size(there), "float32")
            weight = weight * size / ops.maximum(ops.sum(there), 1.0)
        return super().__call__(y_true, y_pred, weight)

    def call(self, y_true, y_pred):
        """Returns the loss of each position `(...)`."""
        loss = self.position_loss(y_pred[..., :1], y_pred[..., 1:], y_true[..., 1:])
        return y_true[..., 0] * loss

    def position_loss(self, positive, negatives, weights):
        """The loss `(...)` of positions that all count.

        Args:
            positive: float32 `(..., 1)`.
            negatives: float32 `(..., n)`, 0 where the weight is.
            weights: float32 `(..., n)`.
        """
        raise NotImplementedError


def _aligned(sample_weight, rank):
    weight = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    if len(weight.shape) == rank + 1 and weight.shape[-1] == 1:
        weight = ops.squeeze(weight, axis=-1)
    while len(weight.shape) < rank:
        weight = ops.expand_dims(weight, axis=-1)
    return weight


def _check_shapes(true, pred):
    same = len(true) == len(pred) >= 1 and all(
        a == b or a is None or b is None for a, b in zip(true, pred)
    )
    if not same or (pred[-1] is not None and pred[-1] < 2):
        raise ValueError(
            "`y_true` and `y_pred` must have one shape (..., 1 + n): the positive "
            "candidate, then n negatives, one at least. Received: "
            f"y_true.shape={true}, y_pred.shape={pred}"
        )
