"""Sessions that end before and after points in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.split_by_time import split_by_time


def split_sessions(
    sessions: Any, times: Any, cut_offs: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Splits whole sessions by the time of their last event.

    Sessions that end before the first cut-off train, those that end before the second
    one validate, the others test.

    Args:
        sessions: `(N,)` keys of any comparable type: the session of each event.
        times: `(N,)` numbers, in any order.
        cut_offs: first end of a session of validation and of test.

    Returns:
        `(train, validation, test)`: int64, which events, in their order in `sessions`.

    Raises:
        ValueError: for lengths that differ, times that are not finite and cut-offs
            that are not two numbers in order.

    Example:
    >>> sessions, times = ["a", "b", "a", "b", "c"], [1, 2, 4, 6, 9]
    >>> parts = keras_recs.evaluation.split_sessions(sessions, times, cut_offs=(5, 9))
    >>> [part.tolist() for part in parts]
    [[0, 2], [1, 3], [4]]
    """
    sessions, times = np.asarray(sessions), np.asarray(times)
    if sessions.ndim != 1 or sessions.shape != times.shape:
        raise ValueError(
            "`sessions` and `times` must be vectors of one length. Received: shapes "
            f"{sessions.shape} and {times.shape}"
        )
    if not len(times):
        return split_by_time(times, cut_offs)
    _, number = np.unique(sessions, return_inverse=True)
    order = np.argsort(times, kind="stable")
    ends = np.empty(number.max() + 1, times.dtype)
    ends[number[order]] = times[order]  # the last event of a session overwrites
    return split_by_time(ends[number], cut_offs)
