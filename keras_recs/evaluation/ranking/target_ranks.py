"""The rank of each user's target among scores that are there."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.checked_ids import checked_lists, checked_targets
from keras_recs.evaluation.ranking.excluded_pairs import excluded_pairs
from keras_recs.evaluation.ranking.item_lists import ItemLists
from keras_recs.evaluation.ranking.outranks import checked_ties, outranks, row_counts


def target_ranks(
    scores: Any,
    targets: Any,
    excluded: ItemLists | None = None,
    ties: str = "pessimistic",
) -> np.ndarray:
    """Ranks each user's target among all items of the catalogue, from 1.

    Candidates are all items but the excluded ones; the target is one even where it is
    excluded. An item whose score is NaN ranks last, and a target whose score is NaN
    behind all other candidates.

    Args:
        scores: `(B, V)`, of each user and item.
        targets: `(B,)` integers, columns of `scores`.
        excluded: `ItemLists` of B users, such as the items that a user has seen; an
            item may be there several times. Defaults to `None`: nothing.
        ties: `"pessimistic"`: items of the target's score stand before it;
            `"optimistic"`: behind it, as in the code of SASRec's authors. Defaults to
            `"pessimistic"`.

    Returns:
        int64 `(B,)` ranks from 1.

    Raises:
        TypeError: for `excluded` of another class.
        ValueError: for a target outside the catalogue, shapes that do not fit, and
            unknown `ties`.

    Example:
    >>> scores = [[0.1, 0.7, 0.4, 0.4], [0.9, 0.2, 0.3, 0.8]]
    >>> keras_recs.evaluation.target_ranks(scores, [2, 1]).tolist()
    [3, 4]
    >>> seen = keras_recs.evaluation.ItemLists.from_lists([[1], [0, 2]])
    >>> keras_recs.evaluation.target_ranks(scores, [2, 1], seen).tolist()
    [2, 2]
    """
    scores = np.asarray(scores)
    if scores.ndim != 2:
        raise ValueError(
            "`scores` must be a matrix, a row for each user and a column for each "
            f"item. Received: shape {scores.shape}"
        )
    num_users, num_items = scores.shape
    targets = checked_targets(targets, num_users, num_items)
    excluded = checked_lists("excluded", excluded, num_users, num_items)
    before = np.empty(scores.shape, bool)
    target_scores = np.take_along_axis(scores, targets[:, None], axis=1)[:, 0]
    outranks(scores, target_scores, checked_ties(ties), before)
    rows, columns = excluded_pairs(excluded, targets)
    before[rows, columns] = False
    before[np.arange(num_users), targets] = False
    last = num_items - np.bincount(rows, minlength=num_users)
    is_nan = target_scores != target_scores  # integers too can be asked that
    return np.where(is_nan, last, 1 + row_counts(before))
