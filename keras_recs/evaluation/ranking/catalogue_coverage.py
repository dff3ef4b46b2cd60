"""How much of a catalogue is recommended."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.checked_ids import checked_count, checked_top_lists


def catalogue_coverage(ids: Any, num_items: int) -> float:
    """Share of the catalogue's items that are recommended to at least one user.

    Args:
        ids: `(B, n)` integers, as `catalogue_top_k` gives them; −1 where nothing is.
        num_items: int. Of the catalogue.

    Returns:
        float in 0 … 1.

    Raises:
        ValueError: for ids that are not of the catalogue, or twice in a list.

    Example:
    >>> keras_recs.evaluation.catalogue_coverage([[0, 1], [1, 2]], num_items=4)
    0.75
    """
    ids = checked_top_lists(ids, checked_count("num_items", num_items))
    return len(np.unique(ids[ids >= 0])) / num_items
