"""Pairs of a positive and a negative example within groups."""

import numpy as np


def grouped_pairs(positive, negative, y_score, groups):
    """How much of the pairs of each group is in the right order.

    A pair weighs the product of its examples' weights; one of equal scores counts ½.

    Args:
        positive: `(N,)` weights of the examples as positives, 0 for a negative.
        negative: `(N,)` weights as negatives, 0 for a positive.
        y_score: `(N,)`.
        groups: `(N,)` keys of any comparable type.

    Returns:
        `(right, positives, negatives)`, each `(G,)`: the weight of the pairs in the
        right order, and the weights whose product is that of all pairs.

    Raises:
        ValueError: if there is not a key for each example.
    """
    groups = np.asarray(groups).reshape(-1)
    if len(groups) != len(positive):
        raise ValueError(
            f"`groups` must have a key for each example. Received: {len(groups)} keys "
            f"for {len(positive)} examples"
        )
    _, group = np.unique(groups, return_inverse=True)
    order = np.lexsort((y_score, group))
    group, score = group[order], y_score[order]
    # Runs of equal scores within a group.
    starts = np.ones(len(group), bool)
    starts[1:] = (group[1:] != group[:-1]) | (score[1:] != score[:-1])
    run = np.cumsum(starts) - 1
    group_of_run = group[starts]
    positive = np.bincount(run, positive[order])
    negative = np.bincount(run, negative[order])
    cumulated = np.cumsum(negative) - negative
    positives = np.bincount(group_of_run, positive)
    negatives = np.bincount(group_of_run, negative)
    before_group = np.cumsum(negatives) - negatives
    below = cumulated - before_group[group_of_run]
    right = np.bincount(group_of_run, positive * (below + negative / 2))
    return right, positives, negatives
