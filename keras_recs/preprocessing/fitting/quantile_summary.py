"""Quantiles of a stream in bounded memory."""

from __future__ import annotations

import numpy as np

_SIZE = 8192


class QuantileSummary:
    """Weighted values from which the quantiles of all values seen are read.

    Summaries of equal height are merged two by two, like the digits of a binary
    number, and a merge that leaves more than `size` distinct values thins them: of
    neighbours that together weigh less than 1/`size` of the merged weight the greatest
    stays. Each value is so thinned at most once a height, so `error <= count * heights
    / size`, with as many heights as the logarithm to base 2 of the number of chunks,
    and one more. Up to `size` distinct values the error is 0.

    The rank that a summary gives a value (how many values are at most as great) is
    never above the true rank, and below it by at most `error`.

    Args:
        size: int. Values kept a height. Defaults to 8192: with 2**17 chunks (about a
            billion rows) ranks are off by at most 0.22 % of the count.
    """

    def __init__(self, size: int = _SIZE):
        self.size = size
        self.count = 0
        self.error = 0.0
        self._levels: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def add(self, values: np.ndarray, counts: np.ndarray) -> None:
        """Takes increasing distinct `values (N,)` and how often each occurs."""
        if len(values):
            self.count += int(counts.sum())
            self._put(0, (values, counts.astype(np.int64)))

    def merge(self, other: QuantileSummary) -> None:
        """Takes what another summary has seen."""
        self.count += other.count
        self.error += other.error
        for level in sorted(other._levels):
            self._put(level, other._levels[level])

    def quantiles(self, fractions: np.ndarray) -> np.ndarray:
        """The least value whose rank is at least `fraction * count`, for each.

        Its true rank is that, too; the true rank of what is below it exceeds
        `fraction * count` by at most `error`.

        Raises:
            ValueError: if no value was seen.
        """
        if not self._levels:
            raise ValueError("No value was seen, so there are no quantiles.")
        values, counts = _join(list(self._levels.values()))
        ranks = np.cumsum(counts)
        wanted = np.asarray(fractions, np.float64) * self.count
        places = np.searchsorted(ranks, wanted, side="left")
        return values[np.minimum(places, len(values) - 1)]

    def _put(self, level: int, entry: tuple[np.ndarray, np.ndarray]) -> None:
        while True:
            other = self._levels.pop(level, None)
            if other is not None:
                entry = _join([other, entry])
                level += 1
            if len(entry[0]) > 2 * self.size or (
                other is not None and len(entry[0]) > self.size
            ):
                entry = self._thin(*entry)
            if level not in self._levels:
                self._levels[level] = entry
                return

    def _thin(
        self, values: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        weight = counts.sum() / self.size
        starts = np.cumsum(counts) - counts
        groups = np.floor(starts / weight)
        heavy = counts >= weight
        # A group ends where the next begins, and before and behind a heavy value.
        ends = (groups[1:] != groups[:-1]) | heavy[1:] | heavy[:-1]
        last = np.flatnonzero(np.append(ends, True))
        if len(last) < len(values):
            self.error += float(weight)
        sums = np.diff(np.cumsum(counts)[last], prepend=0)
        return values[last], sums


def _join(
    entries: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    values = np.concatenate([values for values, _ in entries])
    counts = np.concatenate([counts for _, counts in entries])
    distinct, places = np.unique(values, return_inverse=True)
    sums = np.bincount(places, counts, len(distinct))  # exact below 2**53
    return distinct, sums.astype(np.int64)
