"""The weights of a feature's values, place by place beside the values."""

from __future__ import annotations

import numpy as np


def align_weights(
    there: np.ndarray,
    starts: np.ndarray,
    known: np.ndarray,
    weight_starts: np.ndarray,
    feature: str,
) -> tuple[np.ndarray, dict[int, str]]:
    """Chooses the weights of the values that are there, and finds what does not match.

    Where a row has no weight at all, none is chosen: all its values weigh 1.

    Args:
        there: bool `(N,)`, false where a value is missing.
        starts: ints `(rows + 1,)`, where the values of each row begin.
        known: bool `(M,)`, false where a weight is missing.
        weight_starts: ints `(rows + 1,)`, where the weights of each row begin.
        feature: string. Its name, for the messages.

    Returns:
        bool `(M,)`, true for the weights to keep, and by row why the weights are bad.
    """
    lengths, given = np.diff(starts), np.diff(weight_starts)
    sums = np.concatenate([[0], np.cumsum(known)])
    has_any = np.diff(sums[weight_starts]) > 0
    bad = has_any & (given != lengths)
    errors = {
        row: f"{given[row]} weights where '{feature}' has {lengths[row]} values"
        for row in np.flatnonzero(bad).tolist()
    }
    weighed = has_any & ~bad
    kept = np.repeat(weighed, given)
    kept[kept] = there[np.repeat(weighed, lengths)]
    missing = np.flatnonzero(kept & ~known)
    for row in np.searchsorted(weight_starts, missing, side="right") - 1:
        errors[int(row)] = f"a value of '{feature}' has no weight"
    return kept & known, errors
