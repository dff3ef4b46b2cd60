"""The rank of each user's target among drawn candidates."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.target_ranks import target_ranks


def candidate_ranks(scores: Any, ties: str = "pessimistic") -> np.ndarray:
    """Ranks each user's target among candidates that were drawn for the user, from 1.

    NaN is treated as in `target_ranks`. Such ranks are of another kind than those among
    the whole catalogue, and depend on how the candidates were drawn: see
    `draw_negatives`.

    Args:
        scores: `(B, 1 + n)`: of the target, then of the n other candidates.
        ties: as in `target_ranks`. Defaults to `"pessimistic"`.

    Returns:
        int64 `(B,)` ranks, 1 … 1 + n.

    Raises:
        ValueError: for scores without a target, and unknown `ties`.

    Example:
    >>> scores = [[0.5, 0.5, 0.2], [0.1, 0.3, 0.2]]
    >>> keras_recs.evaluation.candidate_ranks(scores).tolist()
    [2, 3]
    >>> keras_recs.evaluation.candidate_ranks(scores, ties="optimistic").tolist()
    [1, 3]
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or not scores.shape[1]:
        raise ValueError(
            "`scores` must be a matrix, the target's in the first column. Received: "
            f"shape {scores.shape}"
        )
    return target_ranks(scores, np.zeros(len(scores), int), ties=ties)
