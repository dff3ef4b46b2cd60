"""Events before and after points in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def split_by_time(
    times: Any, cut_offs: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Splits the events of all users at two points in time.

    Events before the first cut-off train, those before the second one validate, the
    others test. Events of the same time are thus never divided. `data.Split(kind=
    "time")` does this to raw logs, and finds cut-offs for given shares.

    Args:
        times: `(N,)` numbers, in any order.
        cut_offs: first time of validation and of test.

    Returns:
        `(train, validation, test)`: int64, which events, in their order in `times`.

    Raises:
        ValueError: for times that are not finite and cut-offs that are not two numbers
            in order.

    Example:
    >>> parts = keras_recs.evaluation.split_by_time([3, 9, 5, 5, 1], cut_offs=(5, 9))
    >>> [part.tolist() for part in parts]
    [[0, 4], [2, 3], [1]]
    """
    times = np.asarray(times)
    if times.ndim != 1 or not np.isfinite(times).all():
        raise ValueError(
            f"`times` must be a vector of finite numbers. Received: shape {times.shape}"
        )
    cut_offs = tuple(cut_offs)
    if len(cut_offs) != 2 or not -math.inf < cut_offs[0] <= cut_offs[1] < math.inf:
        raise ValueError(
            "`cut_offs` must be the first times of validation and of test, in order. "
            f"Received: cut_offs={cut_offs}"
        )
    first, second = cut_offs
    part_of = (times >= first).astype(int) + (times >= second)
    train, validation, test = (np.flatnonzero(part_of == part) for part in range(3))
    return train, validation, test
