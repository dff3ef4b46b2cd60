"""The best items of each user in a catalogue that is scored in chunks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.catalogue_products import CatalogueProducts
from keras_recs.evaluation.ranking.checked_ids import checked_count, checked_lists
from keras_recs.evaluation.ranking.excluded_pairs import excluded_pairs
from keras_recs.evaluation.ranking.item_lists import ItemLists
from keras_recs.evaluation.ranking.score_keys import (
    MAX_ITEMS,
    MISSING,
    ids_of_keys,
    score_keys,
    scores_of_keys,
)

_FIRST = 1024  # items that give the first thresholds
_BLOCKS = 32  # of a chunk; all scores of one may be above their thresholds


def catalogue_top_k(
    queries: Any,
    items: Any,
    k: int,
    item_bias: Any = None,
    excluded: ItemLists | None = None,
    memory_bytes: int = 1 << 28,
) -> tuple[np.ndarray, np.ndarray]:
    """Finds each user's k best items by inner product, exactly, in bounded memory.

    The score of user u for item v is `queries[u] @ items[v] + item_bias[v]`, in
    float32. The result is that of sorting all candidates: best first, of equal scores
    the lower id first, NaN last. Where there are fewer than k candidates, the ids at
    the end are −1 and their scores −∞. The scores of two equal items may differ in
    their last digit, and so either may come first.

    Once k items are known, of the next ones only those count that are better than the
    k-th best: one comparison a score, and little is ever sorted. That is slower where
    the best items have the highest ids.

    Args:
        queries: `(U, D)`.
        items: `(V, D)`, without rows for padding or unknown items.
        k: int of at least 1; it may exceed V.
        item_bias: `(V,)`. Defaults to `None`: 0.
        excluded: `ItemLists` of U users: what is no candidate. Defaults to `None`:
            nothing.
        memory_bytes: int. What is needed beside the arguments and the result at most.
            Defaults to `268435456`.

    Returns:
        `(ids, scores)`, int64 and float32 `(U, k)`.

    Raises:
        TypeError: for `excluded` of another class.
        ValueError: for shapes that do not fit, a `k` that is no positive integer and
            too little memory.

    Example:
    >>> queries, items = np.eye(2), np.array([[3, 1], [2, 2], [1, 3]])
    >>> ids, scores = keras_recs.evaluation.catalogue_top_k(queries, items, k=2)
    >>> ids.tolist(), scores.tolist()
    ([[0, 1], [2, 1]], [[3.0, 2.0], [3.0, 2.0]])
    """
    k = checked_count("k", k)
    products = CatalogueProducts(queries, items, item_bias, 12, 40 * k, memory_bytes)
    num_users, num_items = products.num_queries, products.num_items
    if num_items > MAX_ITEMS:
        raise ValueError(
            f"`items` must have at most {MAX_ITEMS} rows. Received: {num_items}"
        )
    excluded = checked_lists("excluded", excluded, num_users, num_items)
    ids, scores = np.empty((num_users, k), "int64"), np.empty((num_users, k), "float32")
    block = products.rows * products.columns // _BLOCKS
    for first, last, chunk in products.query_chunks():
        best = _Best(last - first, k, block)
        rows, columns = excluded_pairs(excluded.part(first, last))
        for start, found in products.item_chunks(chunk):
            # The first chunk is cut, so that most of it already meets a threshold.
            width = found.shape[1]
            cuts = [0, width] if start else [0, min(max(_FIRST, 4 * k), width), width]
            for a, b in itertools.pairwise(cuts):
                part = slice(*np.searchsorted(columns, [start + a, start + b]))
                away = rows[part], columns[part] - (start + a)
                best.add(found[:, a:b], start + a, away)
        keys = np.sort(best.keys, axis=1)[:, ::-1]
        ids[first:last], scores[first:last] = ids_of_keys(keys), scores_of_keys(keys)
    return ids, scores


class _Best:
    """The k best items of each user so far."""

    def __init__(self, num_users: int, k: int, block: int):
        self.keys = np.full((num_users, k), MISSING)
        self.worst = np.full(num_users, MISSING)  # key of the k-th best
        self.threshold = np.full(num_users, -np.inf, "float32")
        self.open = np.ones(num_users, bool)  # where any item may be among them
        self.block = block  # scores that are looked at together

    def add(self, scores: np.ndarray, first_id: int, away: tuple) -> None:
        """Takes the scores of items of higher ids, but those at the places `away`."""
        width = scores.shape[1]
        if not width:
            return
        away = tuple(places[np.argsort(away[0], kind="stable")] for places in away)
        step = max(self.block // width, 1)
        for start in range(0, len(scores), step):
            users = slice(start, start + step)
            with np.errstate(invalid="ignore"):
                better = scores[users] > self.threshold[users, None]
            if self.open[users].any():
                better[self.open[users]] = True
            part = slice(*np.searchsorted(away[0], [start, start + step]))
            better[away[0][part] - start, away[1][part]] = False
            rows, columns = np.divmod(np.flatnonzero(better), width)
            rows += start
            keys = score_keys(scores[rows, columns], columns + first_id)
            above = keys > self.worst[rows]
            if above.any():
                self._merge(rows[above], keys[above])

    def _merge(self, rows: np.ndarray, keys: np.ndarray) -> None:
        """Takes keys of users in increasing order."""
        k = self.keys.shape[1]
        touched, first, counts = np.unique(rows, return_index=True, return_counts=True)
        width = int(counts.max())
        number = np.repeat(np.arange(len(touched)), counts)
        merged = np.full((len(touched), k + width), MISSING)
        merged[:, :k] = self.keys[touched]
        merged[number, k + np.arange(len(rows)) - first[number]] = keys
        merged.partition(width, axis=1)
        self.keys[touched] = merged[:, width:]
        self.worst[touched] = merged[:, width]
        threshold = scores_of_keys(merged[:, width])
        missing = merged[:, width] == MISSING
        # Nothing is above NaN, but every number is before it.
        self.open[touched] = missing | np.isnan(threshold)
        self.threshold[touched] = threshold
