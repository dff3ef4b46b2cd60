"""Metrics over users from the rank of one relevant item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_recs.evaluation.ranking.ranking_values import ranking_values
from keras_recs.evaluation.ranking.user_mean import user_mean


def ranking_metrics(ranks: Any, ks: Sequence[int] = (10,)) -> dict[str, float]:
    """Averages `hit_rate@k`, `ndcg@k`, `mrr@k` and `mrr` over the users.

    `ranking_values` has their equations, and the value of each user.

    Args:
        ranks: `(B,)` integers from 1, as `catalogue_ranks` gives them.
        ks: ints. Defaults to `(10,)`.

    Returns:
        dict of metric name to float; NaN where there is no user.

    Raises:
        ValueError: for ranks that are no integers from 1, and such ks.

    Example:
    >>> keras_recs.evaluation.ranking_metrics([1, 3, 12, 50], ks=(1, 10))["ndcg@10"]
    0.375
    """
    return user_mean(ranking_values(ranks, ks))
