"""How unequally a catalogue is recommended."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.checked_ids import checked_count, checked_top_lists


def exposure_gini(ids: Any, num_items: int) -> float:
    """Gini index of how often each item of the catalogue is recommended.

    With these numbers in increasing order, x_1 ≤ … ≤ x_V, it is

        Σ_i (2i − V − 1) x_i  /  (V Σ_i x_i)

    0 where all items are recommended equally often, (V − 1)/V where one alone is.

    Args:
        ids: `(B, n)` integers, as `catalogue_top_k` gives them; −1 where nothing is.
        num_items: int. Of the catalogue, V.

    Returns:
        float in 0 … 1; NaN where nothing is recommended.

    Raises:
        ValueError: for ids that are not of the catalogue, or twice in a list.

    Example:
    >>> keras_recs.evaluation.exposure_gini([[0], [0], [0]], num_items=4)
    0.75
    """
    ids = checked_top_lists(ids, checked_count("num_items", num_items))
    shown = np.sort(np.bincount(ids[ids >= 0], minlength=num_items))
    if not shown[-1]:
        return float("nan")
    factors = 2.0 * np.arange(1, num_items + 1) - num_items - 1
    return float(factors @ shown / (num_items * shown.sum()))
