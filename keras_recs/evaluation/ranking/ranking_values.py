"""Metrics of each user from the rank of one relevant item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.checked_ids import checked_count


def ranking_values(ranks: Any, ks: Sequence[int] = (10,)) -> dict[str, np.ndarray]:
    """Computes the metrics of each user who has one relevant item, from its rank r.

        hit_rate@k = 1                where r ≤ k, else 0
        ndcg@k     = 1 / log2(r + 1)  where r ≤ k, else 0
        mrr@k      = 1 / r            where r ≤ k, else 0
        mrr        = 1 / r

    Recall@k is then hit_rate@k, precision@k that over k, and map@k is mrr@k.

    Args:
        ranks: `(B,)` integers from 1, as `catalogue_ranks` gives them.
        ks: ints. Defaults to `(10,)`.

    Returns:
        dict of metric name, `"ndcg@10"`, to float64 `(B,)`.

    Raises:
        ValueError: for ranks that are no integers from 1, and such ks.

    Example:
    >>> values = keras_recs.evaluation.ranking_values([1, 3, 12])
    >>> values["ndcg@10"].tolist()
    [1.0, 0.5, 0.0]
    """
    ranks = np.asarray(ranks)
    if ranks.ndim != 1 or (ranks.size and ranks.dtype.kind not in "iu"):
        raise ValueError(
            "`ranks` must be a vector of integers. Received: shape "
            f"{ranks.shape} and dtype {ranks.dtype}"
        )
    if (ranks < 1).any():
        user = int(np.argmax(ranks < 1))
        raise ValueError(
            f"`ranks` must begin with 1. Received: {ranks[user]} of user {user}"
        )
    reciprocal = 1 / ranks
    gain = 1 / np.log2(ranks + 1.0)
    values = {}
    for k in ks:
        hit = ranks <= checked_count("ks", k)
        values[f"hit_rate@{k}"] = hit.astype("float64")
        values[f"ndcg@{k}"] = np.where(hit, gain, 0.0)
        values[f"mrr@{k}"] = np.where(hit, reciprocal, 0.0)
    return {**values, "mrr": reciprocal}
