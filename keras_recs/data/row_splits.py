"""Which split a row belongs to, decided by the row itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from keras_recs.preprocessing.reading.column_plan import ColumnPlan
from keras_recs.preprocessing.reading.parse_chunk import ParsedChunk

# A NUL cannot be part of a schema's name.
_KEY = "\0split_key"
_TIME = "\0split_time"


def key_plan(column: str) -> ColumnPlan:
    """Reads a column as text, which must be there."""
    return ColumnPlan(_KEY, column, "string", required=True)


def time_plan(column: str) -> ColumnPlan:
    """Reads a column as a time in seconds, fractions included, which must be there."""
    return ColumnPlan(_TIME, column, "float64", required=True)


def keys_of(chunk: ParsedChunk) -> pa.Array:
    """What `key_plan` has read, binary."""
    return chunk.columns[_KEY]


def times_of(chunk: ParsedChunk) -> np.ndarray:
    """What `time_plan` has read, float64."""
    return chunk.columns[_TIME].to_numpy()


class _ByFractions:
    """Divides numbers that are evenly spread over 0 … 1."""

    plans: tuple[ColumnPlan, ...] = ()

    def __init__(self, fractions: Sequence[float], seed: int):
        self.seed = seed
        # What rounding leaves at the end belongs to the last split with a share.
        last = max(i for i, share in enumerate(fractions) if share)
        ends = np.cumsum(fractions)
        ends[last:] = 2.0
        self.ends = ends[:2]

    def _divide(self, hashes: np.ndarray) -> np.ndarray:
        uniform = (hashes >> np.uint64(11)) * 2.0**-53
        return np.searchsorted(self.ends, uniform, side="right").astype(np.uint8)


class HashRows(_ByFractions):
    """By BLAKE2b of a key, salted with the seed."""

    def __init__(self, column: str, fractions: Sequence[float], seed: int):
        super().__init__(fractions, seed)
        self.plans = (key_plan(column),)

    def __call__(self, chunk: ParsedChunk) -> np.ndarray:
        """Splits of a chunk's rows, `uint8` `(rows,)`."""
        encoded = keys_of(chunk).dictionary_encode()
        salt = hashlib.blake2b(str(self.seed).encode(), digest_size=16).digest()
        digests = b"".join(
            hashlib.blake2b(key, digest_size=8, salt=salt).digest()
            for key in encoded.dictionary.to_pylist()
        )
        splits = self._divide(np.frombuffer(digests, "<u8"))
        return splits[encoded.indices.to_numpy()]


class RandomRows(_ByFractions):
    """By a hash of the file's number, the line's number and the seed."""

    def __call__(self, chunk: ParsedChunk) -> np.ndarray:
        """Splits of a chunk's rows, `uint8` `(rows,)`."""
        text = f"{self.seed},{chunk.file_index}".encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        start = np.frombuffer(digest, "<u8")[0]
        # SplitMix64 at its `line`-th step.
        state = start + chunk.lines.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return self._divide(state ^ (state >> np.uint64(31)))


class TimeRows:
    """By cut-offs: the first times of valid and of test."""

    def __init__(self, column: str, cut_offs: Sequence[float]):
        self.plans: tuple[ColumnPlan, ...] = (time_plan(column),)
        self.cut_offs = np.asarray(cut_offs, np.float64)

    def __call__(self, chunk: ParsedChunk) -> np.ndarray:
        """Splits of a chunk's rows, `uint8` `(rows,)`."""
        times = times_of(chunk)
        return np.searchsorted(self.cut_offs, times, side="right").astype(np.uint8)


class FileRows:
    """By the number of the file: what was given as train, valid and test."""

    plans: tuple[ColumnPlan, ...] = ()

    def __init__(self, splits: Sequence[int]):
        self.splits = tuple(splits)

    def __call__(self, chunk: ParsedChunk) -> np.ndarray:
        """Splits of a chunk's rows, `uint8` `(rows,)`."""
        return np.full(len(chunk), self.splits[chunk.file_index], np.uint8)
