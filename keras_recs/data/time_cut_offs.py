"""Times at which given shares of the rows are reached."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_recs.data.row_splits import time_plan, times_of
from keras_recs.preprocessing.reading.column_plan import ColumnPlan
from keras_recs.preprocessing.reading.parse_chunk import ParsedChunk

_BLOCK = 1 << 20  # times read at once
_DIGIT_BITS = 16


class TimeScan:
    """A `Step` that gives the chunk's times."""

    def __init__(self, column: str):
        self.plans: tuple[ColumnPlan, ...] = (time_plan(column),)

    def start(self) -> None:
        """Nothing to prepare."""

    def add(self, chunk: ParsedChunk, splits: np.ndarray | None) -> bytes:
        """The times of a chunk's rows, float64."""
        return times_of(chunk).tobytes()

    def finish(self) -> None:
        """Nothing to give."""


def time_cut_offs(path: Path, fractions: Sequence[float]) -> tuple[float, float]:
    """First times of valid and of test.

    Among n rows in the order of time, valid begins with the row number
    `floor(n * train)`, counted from 0, and test with `floor(n * (train + valid))`. Rows
    of the same time as such a row follow it, so equal times never straddle a cut.

    Args:
        path: file of float64 times, in any order. It is read several times, in blocks.
        fractions: of train, valid and test.
    """
    count = path.stat().st_size // 8
    cuts = []
    for share in (fractions[0], fractions[0] + fractions[1]):
        rank = math.floor(count * share + 1e-6)
        cuts.append(_of_rank(path, rank) if rank < count else math.inf)
    return cuts[0], cuts[1]


def _of_rank(path: Path, rank: int) -> float:
    """The time with `rank` times before it in order, digit by digit."""
    prefix = 0
    for shift in range(64 - _DIGIT_BITS, -1, -_DIGIT_BITS):
        counts = np.zeros(1 << _DIGIT_BITS, np.int64)
        for keys in _keys(path):
            if shift < 64 - _DIGIT_BITS:
                keys = keys[keys >> np.uint64(shift + _DIGIT_BITS) == prefix]
            digits = (keys >> np.uint64(shift)) & np.uint64((1 << _DIGIT_BITS) - 1)
            counts += np.bincount(digits.astype(np.int64), minlength=len(counts))
        before = np.cumsum(counts)
        digit = int(np.searchsorted(before, rank, side="right"))
        rank -= int(before[digit - 1]) if digit else 0
        prefix = prefix << _DIGIT_BITS | digit
    # The inverse of what `_keys` does.
    sign = np.uint64(1 << 63)
    key = np.uint64(prefix)
    bits = key ^ sign if key & sign else ~key
    return float(np.array([bits], np.uint64).view(np.float64)[0])


def _keys(path: Path):
    """Times as integers in the same order."""
    with open(path, "rb") as file:
        while True:
            block = np.fromfile(file, np.float64, _BLOCK)
            if not len(block):
                return
            bits = (block + 0.0).view(np.uint64)  # -0 is 0
            negative = bits >> np.uint64(63) != 0
            yield np.where(negative, ~bits, bits ^ np.uint64(1 << 63))
