"""How little known the recommended items are."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.checked_ids import checked_top_lists


def novelty(ids: Any, counts: Any) -> float:
    """Mean of −log2 p over all recommended items, in bits, p an item's popularity.

    p is the item's share of all interactions, `counts / counts.sum()`. Of 2ᵐ equally
    popular items each has the novelty m bits.

    Args:
        ids: `(B, n)` integers, as `catalogue_top_k` gives them; −1 where nothing is.
        counts: `(V,)` of at least 0: interactions of each item of the catalogue,
            usually in the training data.

    Returns:
        float of at least 0; NaN where nothing is recommended.

    Raises:
        ValueError: for a recommended item of count 0, whose novelty has no bound, ids
            that are not of the catalogue or twice in a list, and counts below 0.

    Example:
    >>> keras_recs.evaluation.novelty([[0, 1], [2, 3]], counts=[5, 5, 5, 5])
    2.0
    """
    counts = np.asarray(counts, "float64")
    if counts.ndim != 1 or not (np.isfinite(counts) & (counts >= 0)).all():
        raise ValueError(
            "`counts` must be a vector of finite numbers of at least 0. Received: "
            f"shape {counts.shape}"
        )
    ids = checked_top_lists(ids, len(counts))
    shown = ids[ids >= 0]
    if not len(shown):
        return float("nan")
    unknown = counts[shown] == 0
    if unknown.any():
        raise ValueError(
            "`counts` must be above 0 for every recommended item; add 1 to all where "
            f"some have none. Received: 0 for item {shown[np.argmax(unknown)]}"
        )
    return float(-np.log2(counts[shown] / counts.sum()).mean())
