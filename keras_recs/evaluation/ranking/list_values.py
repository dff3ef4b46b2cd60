"""Metrics of each user from a list of recommendations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.checked_ids import (
    checked_count,
    checked_lists,
    checked_top_lists,
)
from keras_recs.evaluation.ranking.item_lists import ItemLists


def list_values(
    ids: Any, relevant: ItemLists, ks: Sequence[int] = (10,)
) -> dict[str, np.ndarray]:
    """Computes the metrics of each user who has any number of relevant items.

    With R relevant items, y_i = 1 where the item at place i is one of them, else 0, and
    h_i = y_1 + … + y_i,

        recall@k    = h_k / R
        precision@k = h_k / k
        hit_rate@k  = 1 where h_k > 0, else 0
        map@k       = Σ_{i ≤ k} y_i · h_i / i  /  min(k, R)
        ndcg@k      = Σ_{i ≤ k} y_i / log2(i + 1)  /  Σ_{i ≤ min(k, R)} 1 / log2(i + 1)
        mrr@k       = 1 / i of the first relevant item, 0 where none is among the k

    Precision is over k also where fewer than k items are recommended.

    Args:
        ids: `(B, n)` integers, best first, as `catalogue_top_k` gives them; −1 where
            nothing is recommended.
        relevant: `ItemLists` of B users. An item that is there twice counts once; one
            that the catalogue lacks is not found.
        ks: ints, at most n. Defaults to `(10,)`.

    Returns:
        dict of metric name, `"recall@10"`, to float64 `(B,)`; NaN for users without
        relevant items.

    Raises:
        TypeError: for `relevant` of another class.
        ValueError: for lists in which an item stands twice, another number of users,
            and ks that are no integers, 1 … n.

    Example:
    >>> relevant = keras_recs.evaluation.ItemLists.from_lists([[7, 3, 5]])
    >>> values = keras_recs.evaluation.list_values([[3, 9, 7, 1]], relevant, ks=(2, 4))
    >>> round(float(values["recall@4"][0]), 4), round(float(values["map@4"][0]), 4)
    (0.6667, 0.5556)
    """
    ids = checked_top_lists(ids)
    relevant = checked_lists("relevant", relevant, len(ids), None)
    width = ids.shape[1]
    for k in ks:
        if checked_count("ks", k) > width:
            raise ValueError(
                f"`ks` must not exceed the length of the lists, {width}. Received: {k}"
            )
    hits, sizes = _hits(ids, relevant)
    place = np.arange(1, width + 1)
    found = np.cumsum(hits, axis=1)
    precisions = np.cumsum(hits * found / place, axis=1)
    gains = np.cumsum(hits / np.log2(place + 1), axis=1)
    ideal = np.cumsum(1 / np.log2(place + 1))
    first = np.where(found[:, -1:] > 0, hits.argmax(axis=1)[:, None] + 1, width + 1)
    known = np.where(sizes > 0, sizes, 1)
    values: dict[str, np.ndarray] = {}
    for k in ks:
        h, most = found[:, k - 1], np.minimum(k, known)
        values |= {
            f"recall@{k}": h / known,
            f"precision@{k}": h / k,
            f"hit_rate@{k}": (h > 0).astype("float64"),
            f"map@{k}": precisions[:, k - 1] / most,
            f"ndcg@{k}": gains[:, k - 1] / ideal[most - 1],
            f"mrr@{k}": np.where(first[:, 0] <= k, 1 / first[:, 0], 0.0),
        }
    return {name: np.where(sizes > 0, v, np.nan) for name, v in values.items()}


def _hits(ids: np.ndarray, relevant: ItemLists) -> tuple[np.ndarray, np.ndarray]:
    """Where a relevant item stands, `(B, n)`, and how many each user has, `(B,)`."""
    num_users = len(ids)
    limit = 1 + max(ids.max(initial=0), relevant.items.max(initial=0))
    pairs = np.unique(relevant.users * limit + relevant.items)
    wanted = np.arange(num_users)[:, None] * limit + ids
    hits = np.isin(wanted, pairs) & (ids >= 0)
    return hits, np.bincount(pairs // limit, minlength=num_users)
