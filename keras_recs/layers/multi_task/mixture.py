"""A weighted sum of experts."""

from keras import ops


def mixture(weights, experts):
    """Sums experts by what a gate gives to each.

    An expert at a time: products of a small matrix for each example take several times
    as long.

    Args:
        weights: `(B, E)`.
        experts: list of E tensors `(B, H)`.

    Returns:
        `(B, H)`.
    """
    weights = ops.cast(weights, experts[0].dtype)
    total = weights[:, :1] * experts[0]
    for number, expert in enumerate(experts[1:], 1):
        total = total + weights[:, number : number + 1] * expert
    return total
