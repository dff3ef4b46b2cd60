"""AUC within groups."""

import numpy as np

from keras_recs.metrics.checked_arrays import checked_arrays, ranked


def gauc(y_true, y_score, groups):
    """Group AUC: the exact AUC of each group, averaged with its number of examples.

    Groups of one class have no AUC and are left out.

    Args:
        y_true: `(N,)` of 0 and 1.
        y_score: `(N,)`.
        groups: `(N,)` keys of any comparable type, usually users.

    Returns:
        float in 0 … 1; NaN where no group has both classes.

    Raises:
        ValueError: for lengths that differ or labels other than 0 and 1.

    Reference: [Zhou et al., 2018](https://arxiv.org/abs/1706.06978), eq. 8.

    Example:
    >>> scores, users = [0.9, 0.1, 0.2, 0.3], ["a", "a", "b", "b"]
    >>> keras_recs.metrics.gauc([1, 0, 1, 0], scores, users)
    0.5
    """
    y_true, y_score, _ = checked_arrays(y_true, y_score)
    groups = np.asarray(groups).reshape(-1)
    if len(groups) != len(y_true):
        raise ValueError(
            f"`groups` must have a key for each example. Received: {len(groups)} keys "
            f"for {len(y_true)} examples"
        )
    _, group = np.unique(groups, return_inverse=True)
    order = np.lexsort((ranked(y_score), group))
    group, score, label = group[order], ranked(y_score)[order], y_true[order]
    # Runs of equal scores within a group.
    starts = np.ones(len(group), bool)
    starts[1:] = (group[1:] != group[:-1]) | (score[1:] != score[:-1])
    run = np.cumsum(starts) - 1
    group_of_run = group[starts]
    positive = np.bincount(run, label)
    negative = np.bincount(run, 1 - label)
    cumulated = np.cumsum(negative) - negative
    positives = np.bincount(group_of_run, positive)
    negatives = np.bincount(group_of_run, negative)
    before_group = np.cumsum(negatives) - negatives
    below = cumulated - before_group[group_of_run]
    right = np.bincount(group_of_run, positive * (below + negative / 2))
    pairs = positives * negatives
    both = pairs > 0
    if not both.any():
        return float("nan")
    size = positives + negatives
    return float(np.average(right[both] / pairs[both], weights=size[both]))
