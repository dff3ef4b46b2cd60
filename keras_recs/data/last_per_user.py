"""The last row of each user, and the one before."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_recs.data.row_splits import key_plan, keys_of, time_plan, times_of
from keras_recs.data.split import SPLITS
from keras_recs.preprocessing.fitting.spilled_groups import (
    GroupBuffer,
    Piece,
    read_groups,
    write_pieces,
)
from keras_recs.preprocessing.reading.column_plan import ColumnPlan
from keras_recs.preprocessing.reading.parse_chunk import ParsedChunk

_KEY, _TIME, _ROW = "key", "time", "row"
_ROW_BITS = 31  # a chunk's number above, the row's in the chunk below, the split last
_VALID, _TEST = SPLITS.index("valid"), SPLITS.index("test")


def last_two(table: pa.Table) -> pa.Table:
    """The last two rows of each key, by time, then by number."""
    order = [(_KEY, "ascending"), (_TIME, "descending"), (_ROW, "descending")]
    table = table.take(pc.sort_indices(table, order)).combine_chunks()
    if not len(table):
        return table
    keys = table[_KEY]
    first = np.ones(len(table), bool)
    first[1:] = pc.not_equal(keys.slice(1), keys.slice(0, len(table) - 1)).to_numpy()
    second = np.zeros(len(table), bool)
    second[1:] = first[:-1] & ~first[1:]
    return table.filter(pa.array(first | second))


class LastScan:
    """A `Step` that keeps the last two rows of each key.

    Args:
        key, time: names of the columns.
        folder: `Path` for files.
        memory_bytes: int. Of a worker's candidates.
    """

    def __init__(self, key: str, time: str, folder: Path, memory_bytes: int):
        self.plans: tuple[ColumnPlan, ...] = (key_plan(key), time_plan(time))
        self.folder = folder
        self.memory_bytes = memory_bytes
        self._buffer: GroupBuffer | None = None
        self._pieces: list[Piece] = []

    def start(self) -> None:
        """Makes the buffer."""
        self._buffer = GroupBuffer(last_two)
        self._pieces = []

    def add(self, chunk: ParsedChunk, splits: np.ndarray | None) -> None:
        """Takes the rows of a chunk."""
        rows = (chunk.index << _ROW_BITS) + np.arange(len(chunk), dtype=np.int64)
        table = pa.table({_KEY: keys_of(chunk), _TIME: times_of(chunk), _ROW: rows})
        buffer = self._buffer
        buffer.add(last_two(table))  # type: ignore[union-attr]
        if buffer.nbytes > self.memory_bytes:  # type: ignore[union-attr]
            self._spill()

    def finish(self) -> list[Piece]:
        """Files of the candidates."""
        self._spill()
        return self._pieces

    def _spill(self) -> None:
        table = self._buffer.take()  # type: ignore[union-attr]
        if table is not None:
            self._pieces += write_pieces({"": table}, _KEY, self.folder)[""]


class LastRows:
    """A row split by a file of the rows that do not train.

    Args:
        path: of the file: int64, increasing, a row's number shifted by one bit, in
            which the split stands.
        bounds: of a file: int64 `(chunks + 1,)`, where the rows of each chunk begin.
    """

    def __init__(self, path: Path, bounds: Path):
        self.plans: tuple[ColumnPlan, ...] = ()
        self.path = path
        self.bounds = bounds

    def __call__(self, chunk: ParsedChunk) -> np.ndarray:
        """Splits of a chunk's rows, `uint8` `(rows,)`."""
        start, stop = np.fromfile(self.bounds, np.int64, 2, offset=8 * chunk.index)
        held = np.fromfile(self.path, np.int64, stop - start, offset=8 * start)
        splits = np.zeros(len(chunk), np.uint8)
        rows = held >> 1 & (1 << _ROW_BITS) - 1
        splits[rows] = np.where(held & 1, _TEST, _VALID)
        return splits


def last_rows(
    pieces: Iterable[Piece], num_chunks: int, folder: Path, memory_bytes: int
) -> LastRows:
    """Decides for all users.

    Args:
        pieces: what `LastScan.finish` gave in all workers.
        num_chunks: int.
        folder: `Path` for files, kept as long as the result is used.
        memory_bytes: int.
    """
    unsorted = folder / "last-unsorted"
    with open(unsorted, "wb") as file:
        for table in read_groups(pieces, _KEY, last_two, folder, memory_bytes):
            keys = table[_KEY]
            is_test = np.ones(len(table), bool)
            is_test[1:] = pc.not_equal(
                keys.slice(1), keys.slice(0, len(table) - 1)
            ).to_numpy()
            (table[_ROW].to_numpy() << 1 | is_test).astype(np.int64).tofile(file)
    path, bounds = folder / "last-rows", folder / "last-bounds"
    counts = np.zeros(num_chunks + 1, np.int64)
    with open(path, "wb") as file:
        for numbers in _sorted(unsorted, num_chunks, folder, memory_bytes):
            numbers.tofile(file)
            chunks, sizes = np.unique(numbers >> _ROW_BITS + 1, return_counts=True)
            counts[chunks + 1] += sizes
    np.cumsum(counts).tofile(bounds)
    os.remove(unsorted)
    return LastRows(path, bounds)


def _sorted(path: Path, num_chunks: int, folder: Path, memory_bytes: int):
    """The numbers of a file in order, in parts that fit into memory."""
    buckets = 1 + path.stat().st_size // max(memory_bytes // 2, 1)
    if buckets == 1:
        yield np.sort(np.fromfile(path, np.int64))
        return
    with open(path, "rb") as source:
        while len(numbers := np.fromfile(source, np.int64, max(memory_bytes // 16, 1))):
            places = (numbers >> _ROW_BITS + 1) * buckets // num_chunks
            for bucket in np.unique(places).tolist():
                with open(folder / f"last-{bucket}", "ab") as file:
                    numbers[places == bucket].tofile(file)
    for bucket in range(buckets):
        part = folder / f"last-{bucket}"
        if part.exists():
            yield np.sort(np.fromfile(part, np.int64))
            os.remove(part)
