"""Items that often belong to the same groups."""

import numpy as np


def similar_items(groups, num_rows, top_k=10):
    """The items that are most similar to each, by the groups that both belong to.

    Groups are users' sequences, for items that are bought together, or the items of
    each attribute. The similarity of a and b is n_ab / √(n_a n_b), n the number of
    groups; of equal ones the lower row comes first.

    Args:
        groups: list of int arrays: rows of the items' table.
        num_rows: int. Rows of that table.
        top_k: int. K. Defaults to `10`.

    Returns:
        int32 `(num_rows, K)`, the most similar item first; 0 where less share a group.

    Raises:
        ValueError: for rows out of range.

    Example:
    >>> keras_recs.data.similar_items([[2, 3], [2, 3], [3, 4]], 5, top_k=2).tolist()
    [[0, 0], [0, 0], [3, 0], [2, 4], [3, 0]]
    """
    groups = [np.unique(np.asarray(group, "int64")) for group in groups]
    items = np.concatenate([*groups, np.zeros(0, "int64")])
    if len(items) and not 0 <= items.min() <= items.max() < num_rows:
        raise ValueError(
            f"`groups` must hold rows in [0, {num_rows}). Received: from {items.min()} "
            f"to {items.max()}"
        )
    numbers = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    counts = np.bincount(items, minlength=num_rows)
    by_item = np.split(numbers[np.argsort(items, kind="stable")], np.cumsum(counts))
    found = np.zeros((num_rows, top_k), "int32")
    for item in np.flatnonzero(counts):
        joined = np.concatenate([groups[number] for number in by_item[item]])
        others, together = np.unique(joined, return_counts=True)
        is_other = (others != item) & (others != 0)
        others, together = others[is_other], together[is_other]
        order = np.argsort(-together / np.sqrt(counts[others]), kind="stable")
        best = others[order[:top_k]]
        found[item, : len(best)] = best
    return found
