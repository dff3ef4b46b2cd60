"""The last events of each user, held out."""

from __future__ import annotations

import numpy as np

from keras_recs.evaluation.ranking.checked_ids import checked_lists
from keras_recs.evaluation.ranking.item_lists import ItemLists


def leave_one_out(sequences: ItemLists) -> tuple[ItemLists, ItemLists, ItemLists]:
    """Splits each user's sequence into training, validation and test.

    The last event tests, the one before validates, all others train. A user of fewer
    than three events trains only, as in the code of SASRec's authors. For raw logs
    `data.Split(kind="last_per_user")` does the like, with users of two events too.

    Args:
        sequences: `ItemLists`: the events of each user in the order of time.

    Returns:
        `(train, validation, test)`: `ItemLists` of the same users. The lists of the
        latter two have one event or none.

    Raises:
        TypeError: for another class.

    Example:
    >>> sequences = keras_recs.evaluation.ItemLists.from_lists([[5, 3, 8, 1], [2, 4]])
    >>> parts = keras_recs.evaluation.leave_one_out(sequences)
    >>> [[part[user].tolist() for user in range(2)] for part in parts]
    [[[5, 3], [2, 4]], [[8], []], [[1], []]]
    """
    sequences = checked_lists("sequences", sequences, None, None)
    users = sequences.users
    from_end = sequences.offsets[users + 1] - np.arange(len(users))  # 1: the last event
    part_of = np.where(sequences.lengths[users] < 3, 0, np.maximum(3 - from_end, 0))
    parts = []
    for part in range(3):
        chosen = part_of == part
        sizes = np.bincount(users[chosen], minlength=len(sequences))
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        parts.append(ItemLists(sequences.items[chosen], offsets))
    return parts[0], parts[1], parts[2]
