"""The mean over the negatives of a position."""

from keras import ops


def mean_of_negatives(terms, weights):
    """Σ w·term over the number of negatives with a weight above 0; 0 without any.

    Args:
        terms: `(..., n)`.
        weights: `(..., n)`.

    Returns:
        `(...)`.
    """
    count = ops.sum(ops.cast(weights > 0, terms.dtype), axis=-1)  # (...)
    return ops.sum(weights * terms, axis=-1) / ops.maximum(count, 1.0)
