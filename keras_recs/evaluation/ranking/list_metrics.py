"""Metrics over users from lists of recommendations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_recs.evaluation.ranking.item_lists import ItemLists
from keras_recs.evaluation.ranking.list_values import list_values
from keras_recs.evaluation.ranking.user_mean import user_mean


def list_metrics(
    ids: Any, relevant: ItemLists, ks: Sequence[int] = (10,)
) -> dict[str, float]:
    """Averages the metrics of `list_values` over the users with relevant items.

    Args:
        ids: `(B, n)` integers, best first, −1 where nothing is recommended.
        relevant: `ItemLists` of B users.
        ks: ints, at most n. Defaults to `(10,)`.

    Returns:
        dict of metric name to float: `recall@k`, `precision@k`, `hit_rate@k`, `map@k`,
        `ndcg@k` and `mrr@k`; NaN where no user has a relevant item.

    Raises:
        TypeError, ValueError: as `list_values`.

    Example:
    >>> relevant = keras_recs.evaluation.ItemLists.from_lists([[7, 3], [], [1]])
    >>> ids = [[3, 9], [4, 5], [6, 1]]
    >>> keras_recs.evaluation.list_metrics(ids, relevant, ks=(2,))["recall@2"]
    0.75
    """
    return user_mean(list_values(ids, relevant, ks))
