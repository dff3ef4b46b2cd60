"""Which items stand before another."""

from __future__ import annotations

import numpy as np

TIES = ("pessimistic", "optimistic")


def checked_ties(ties: str) -> str:
    """One of `TIES`.

    Raises:
        ValueError: for anything else.
    """
    if ties not in TIES:
        raise ValueError(f"`ties` must be one of {TIES}. Received: ties={ties!r}")
    return ties


def outranks(
    scores: np.ndarray,
    target_scores: np.ndarray,
    ties: str,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Where an item stands before the target, bool `(B, n)`.

    A score that is NaN stands before none; a target's that is NaN is left to the
    caller, as nothing is before it here.

    Args:
        scores: `(B, n)`.
        target_scores: `(B,)`.
        ties: one of `TIES`.
        out: bool `(B, n)` that is written.
    """
    compare = np.greater_equal if ties == "pessimistic" else np.greater
    with np.errstate(invalid="ignore"):
        return compare(scores, target_scores[:, None], out=out)


def row_counts(found: np.ndarray) -> np.ndarray:
    """How much is true in each row, int64 `(B,)`."""
    # Many times as fast as `count_nonzero` with an axis, which adds up integers.
    return np.fromiter(map(np.count_nonzero, found), "int64", len(found))
