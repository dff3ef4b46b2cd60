"""Softmax over the negatives of a position."""

from keras import ops

LOWEST = -1e9


def log_shares(negatives, weights):
    """log of w_j e^{r_j} / Σ_k w_k e^{r_k}, over the last axis.

    Args:
        negatives: scores r, float32 `(..., n)`.
        weights: w, float32 `(..., n)`; an entry of 0 has no share.

    Returns:
        float32 `(..., n)`, below −1e8 for entries without a share; without any share
        the numbers mean nothing, but are finite.
    """
    logits = negatives + log_weights(weights)
    return logits - ops.logsumexp(logits, axis=-1, keepdims=True)


def log_weights(weights):
    """log w, and −1e9 where w is 0."""
    there = weights > 0
    return ops.where(there, ops.log(ops.where(there, weights, 1.0)), LOWEST)
