"""Smoothed rates by id."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class RateTable:
    """What was seen of each id, and the rates that serving reads.

    Attributes:
        ids: `(K,)` sorted array of integers or strings.
        clicks: `(K,)` int64: rows of the id with label 1.
        views: `(K,)` int64: rows of the id.
        prior: float. The rate of an id that was never seen.
        strength: float. Rows that the prior counts for.
        last_timestamp: time of the last row, or `None` where there were no times.
    """

    ids: np.ndarray
    clicks: np.ndarray
    views: np.ndarray
    prior: float
    strength: float
    last_timestamp: Any = None

    def rates(self, ids) -> np.ndarray:
        """(clicks + strength·prior) / (views + strength) of each id, float32.

        Args:
            ids: `(N,)`; the prior for one that the table does not have.
        """
        ids = checked_ids(ids)
        clicks = np.zeros(len(ids), np.int64)
        views = np.zeros(len(ids), np.int64)
        if len(self.ids):
            place = np.searchsorted(self.ids, ids).clip(max=len(self.ids) - 1)
            known = self.ids[place] == ids
            clicks[known] = self.clicks[place[known]]
            views[known] = self.views[place[known]]
        return smoothed(clicks, views, self.prior, self.strength)


def smoothed(clicks, views, prior, strength) -> np.ndarray:
    """Rates with additive smoothing."""
    return ((clicks + strength * prior) / (views + strength)).astype(np.float32)


def checked_ids(ids) -> np.ndarray:
    """Ids as a `(N,)` array that can be sorted.

    Raises:
        ValueError: for another shape, or values that are neither integers nor strings.
    """
    array = np.asarray(ids)
    if array.dtype == object and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)
    if array.ndim == 1 and not array.size:
        return array.astype(np.int64) if array.dtype.kind == "f" else array
    if array.ndim != 1 or array.dtype.kind not in "iuUS":
        raise ValueError(
            "`ids` must be integers or strings, one a row. Received: "
            f"shape {array.shape}, type {array.dtype}"
        )
    return array
