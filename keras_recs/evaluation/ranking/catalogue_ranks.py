"""The rank of each user's target in a catalogue that is scored in chunks."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.catalogue_products import CatalogueProducts
from keras_recs.evaluation.ranking.checked_ids import checked_lists, checked_targets
from keras_recs.evaluation.ranking.excluded_pairs import excluded_pairs
from keras_recs.evaluation.ranking.item_lists import ItemLists
from keras_recs.evaluation.ranking.outranks import checked_ties, outranks, row_counts
from keras_recs.evaluation.ranking.target_copies import TargetCopies


def catalogue_ranks(
    queries: Any,
    items: Any,
    targets: Any,
    item_bias: Any = None,
    excluded: ItemLists | None = None,
    ties: str = "pessimistic",
    memory_bytes: int = 1 << 28,
) -> np.ndarray:
    """Ranks each user's target by inner product, without a matrix of all scores.

    The score of user u for item v is `queries[u] @ items[v] + item_bias[v]`, in
    float32. Candidates, ties and NaN are as in `target_ranks`; items with the same row
    and bias always tie.

    Args:
        queries: `(U, D)`.
        items: `(V, D)`, without rows for padding or unknown items.
        targets: `(U,)` integers, rows of `items`.
        item_bias: `(V,)`. Defaults to `None`: 0.
        excluded: as in `target_ranks`. Defaults to `None`: nothing.
        ties: as in `target_ranks`. Defaults to `"pessimistic"`.
        memory_bytes: int. What is needed beside the arguments, the result and a few
            numbers for each user, at most. Defaults to `268435456`.

    Returns:
        int64 `(U,)` ranks from 1.

    Raises:
        TypeError: for `excluded` of another class.
        ValueError: for a target outside the catalogue, shapes that do not fit, unknown
            `ties` and too little memory.

    Example:
    >>> queries, items = np.eye(2), np.array([[3, 1], [2, 2], [1, 3]])
    >>> keras_recs.evaluation.catalogue_ranks(queries, items, [1, 0]).tolist()
    [2, 3]
    """
    checked_ties(ties)
    products = CatalogueProducts(queries, items, item_bias, 12, 64, memory_bytes)
    num_users, num_items = products.num_queries, products.num_items
    targets = checked_targets(targets, num_users, num_items)
    excluded = checked_lists("excluded", excluded, num_users, num_items)
    ranks = np.empty(num_users, "int64")
    copies = TargetCopies.find(products, targets)
    buffer = np.empty(products.rows * products.columns, bool)
    for first, last, chunk in products.query_chunks():
        wanted = targets[first:last]
        size = last - first
        target_scores = products.scores_of(chunk, wanted)
        rows, columns = excluded_pairs(excluded.part(first, last), wanted)
        is_nan = np.isnan(target_scores)
        before = np.where(is_nan, num_items - np.bincount(rows, minlength=size), 1)
        # Neither the excluded items nor the target itself can stand before it.
        rows = np.concatenate([rows, np.arange(size)])
        columns = np.concatenate([columns, wanted])
        order = np.argsort(columns, kind="stable")
        rows, columns = rows[order], columns[order]
        of_target = np.where(is_nan, -1, copies.target_groups[first:last])[:, None]
        for start, scores in products.item_chunks(chunk):
            found = buffer[: scores.size].reshape(scores.shape)
            outranks(scores, target_scores, ties, found)
            ends = [start, start + scores.shape[1]]
            part = slice(*np.searchsorted(copies.ids, ends))
            if part.start < part.stop:
                places = copies.ids[part] - start
                tied = copies.groups[part] == of_target
                found[:, places] = np.where(
                    tied, ties == "pessimistic", found[:, places]
                )
            part = slice(*np.searchsorted(columns, ends))
            found[rows[part], columns[part] - start] = False
            before += row_counts(found)
        ranks[first:last] = before
    return ranks
