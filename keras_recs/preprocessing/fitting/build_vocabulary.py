"""Counted values to a vocabulary file."""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import itertools
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_recs.preprocessing.fitting.spilled_groups import Piece, read_groups
from keras_recs.preprocessing.fitting.value_counter import (
    VALUE,
    CountedTable,
    count_column,
    sum_counts,
)

_TOTAL = "total"
_TOP = 10
_BATCH_ROWS = 1 << 14
_RUN_ROWS = 1 << 10  # of each run in memory while runs are merged


@dataclasses.dataclass
class BuiltVocabulary:
    """A vocabulary file and what was counted.

    Attributes:
        size, sha256: of the file.
        distinct: int. Different values that occur.
        kept: int. Those that occur and are in the vocabulary.
        occurrences, known: by feature: how many values there were, defaults included,
            and how many of them are in the vocabulary.
        top: by feature: its most frequent values with their counts.
    """

    size: int
    sha256: str
    distinct: int
    kept: int
    occurrences: dict[str, int]
    known: dict[str, int]
    top: dict[str, list[tuple[str, int]]]


def build_vocabulary(
    table: CountedTable,
    pieces: Sequence[Piece],
    path: Path,
    folder: Path,
    memory_bytes: int,
) -> BuiltVocabulary:
    """Writes the values that are frequent enough, most frequent first.

    Values that occur equally often are in the order of their UTF-8 bytes. Defaults are
    in the vocabulary whatever their count. The file holds one value a line.

    Args:
        table: `CountedTable`.
        pieces: what `ValueCounter.finish` returned for it.
        path: of the file; it appears whole or not at all.
        folder: `Path` for intermediate files.
        memory_bytes: int.
    """
    counts = [count_column(position) for position in range(len(table.features))]
    defaults = sorted({default for default in table.defaults if default is not None})
    forced = pa.array(defaults, pa.binary())
    sums = dict.fromkeys(counts, 0)
    tops = [_Top() for _ in counts]
    distinct = 0
    kept_values = _SortedValues(folder, memory_bytes, table.max_size)
    seen_defaults = []
    for group in read_groups(pieces, VALUE, sum_counts, folder, memory_bytes):
        distinct += len(group)
        total = group[counts[0]]
        for name in counts[1:]:
            total = pc.add(total, group[name])
        group = group.append_column(_TOTAL, total)
        for name, top in zip(counts, tops, strict=True):
            sums[name] += pc.sum(group[name]).as_py()
            top.add(group[VALUE], group[name])
        is_default = pc.is_in(group[VALUE], forced)
        seen_defaults.append(group.filter(is_default))
        frequent = pc.greater_equal(total, table.min_count)
        kept_values.add(group.filter(pc.and_not(frequent, is_default)))
    entries = _entries(seen_defaults, defaults, counts)
    room = None if table.max_size is None else max(table.max_size - len(entries), 0)
    others = _limited(kept_values.sorted(), room)

    digest = hashlib.sha256()
    size = kept = 0
    known = dict.fromkeys(counts, 0)
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        for batch in _merged(entries, others):
            lines = pc.binary_join_element_wise(
                batch[VALUE], pa.scalar(b"\n"), pa.scalar(b"")
            )
            text = b"".join(lines.to_pylist())
            file.write(text)
            digest.update(text)
            size += len(batch)
            kept += pc.sum(pc.greater(batch[_TOTAL], 0)).as_py()
            for name in counts:
                known[name] += pc.sum(batch[name]).as_py()
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    by_feature = list(zip(table.features, counts, strict=True))
    return BuiltVocabulary(
        size,
        digest.hexdigest(),
        distinct,
        kept,
        {feature: sums[name] for feature, name in by_feature},
        {feature: known[name] for feature, name in by_feature},
        {f: top.values() for f, top in zip(table.features, tops, strict=True)},
    )


def _entries(
    seen: list[pa.Table], defaults: list[bytes], counts: list[str]
) -> list[dict[str, Any]]:
    """The defaults with their counts, in the vocabulary's order."""
    entries = {
        default: {VALUE: default, **dict.fromkeys(counts, 0), _TOTAL: 0}
        for default in defaults
    }
    for table in seen:
        for row in table.to_pylist():
            entries[row[VALUE]] = row
    return sorted(entries.values(), key=_order)


def _order(row: dict[str, Any]) -> tuple[int, bytes]:
    return -row[_TOTAL], row[VALUE]


def _limited(tables: Iterator[pa.Table], room: int | None) -> Iterator[pa.Table]:
    for table in tables:
        if room is not None:
            table = table.slice(0, room)
            room -= len(table)
        if len(table):
            yield table
        if room == 0:
            return


def _merged(
    entries: list[dict[str, Any]], others: Iterator[pa.Table]
) -> Iterator[pa.Table]:
    """Sorted tables with the few entries at their places."""
    entries = list(entries)
    schema = None
    for table in others:
        schema = table.schema
        while entries:
            totals, first = table[_TOTAL].to_numpy(), entries[0]
            # Where the entry belongs: behind greater totals, then by the value.
            low = int(np.searchsorted(-totals, -first[_TOTAL], side="left"))
            high = int(np.searchsorted(-totals, -first[_TOTAL], side="right"))
            ties = table[VALUE].slice(low, high - low)
            place = low + int(pc.sum(pc.less(ties, first[VALUE])).as_py() or 0)
            if place == len(table):
                break
            if place:
                yield table.slice(0, place)
            yield pa.Table.from_pylist([entries.pop(0)], schema)
            table = table.slice(place)
        if len(table):
            yield table
    if entries:
        if schema is None:
            names = [name for name in entries[0] if name != VALUE]
            schema = pa.schema(
                [(VALUE, pa.binary()), *((n, pa.int64()) for n in names)]
            )
        yield pa.Table.from_pylist(entries, schema)


class _Top:
    """The most frequent values of a feature."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, bytes]] = []

    def add(self, values: pa.ChunkedArray, counts: pa.ChunkedArray) -> None:
        table = pa.table({VALUE: values, _TOTAL: counts})
        if len(self.rows) == _TOP:  # few can still rise
            table = table.filter(pc.greater_equal(counts, -self.rows[-1][0]))
        best = _sorted(table.filter(pc.greater(table[_TOTAL], 0))).slice(0, _TOP)
        self.rows += [_order(row) for row in best.to_pylist()]
        self.rows = sorted(self.rows)[:_TOP]

    def values(self) -> list[tuple[str, int]]:
        return [(value.decode("utf-8"), -count) for count, value in self.rows]


def _sorted(table: pa.Table) -> pa.Table:
    order = [(_TOTAL, "descending"), (VALUE, "ascending")]
    return table.take(pc.sort_indices(table, order))


class _SortedValues:
    """Sorts more values than fit into memory."""

    def __init__(self, folder: Path, memory_bytes: int, max_size: int | None):
        self.folder = folder
        self.memory_bytes = memory_bytes
        self.max_size = max_size
        self._tables: list[pa.Table] = []
        self._nbytes = 0
        self._runs: list[Path] = []

    def add(self, table: pa.Table) -> None:
        self._tables.append(table)
        self._nbytes += table.nbytes
        if self._nbytes > self.memory_bytes:
            best = self._take()
            if best.nbytes > self.memory_bytes // 2:
                self._spill(best)
            else:
                self._tables = [best]
                self._nbytes = best.nbytes

    def sorted(self) -> Iterator[pa.Table]:
        """All values in the vocabulary's order, in tables of bounded size."""
        if not self._tables and not self._runs:
            return
        if not self._runs:
            table = self._take()
            for start in range(0, len(table), _BATCH_ROWS):
                yield table.slice(start, _BATCH_ROWS)
            return
        if self._tables:
            self._spill(self._take())
        try:
            yield from self._merged()
        finally:
            for path in self._runs:
                os.remove(path)

    def _merged(self) -> Iterator[pa.Table]:
        with pa.ipc.open_stream(self._runs[0]) as reader:
            schema = reader.schema
        rows = heapq.merge(*map(_rows, self._runs), key=_order)
        while batch := list(itertools.islice(rows, _BATCH_ROWS)):
            yield pa.Table.from_pylist(batch, schema)

    def _take(self) -> pa.Table:
        table = _sorted(pa.concat_tables(self._tables))
        self._tables, self._nbytes = [], 0
        return table if self.max_size is None else table.slice(0, self.max_size)

    def _spill(self, table: pa.Table) -> None:
        path = self.folder / f"values-{secrets.token_hex(8)}"
        with (
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_stream(file, table.schema) as writer,
        ):
            writer.write_table(table.combine_chunks(), max_chunksize=_RUN_ROWS)
        self._runs.append(path)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as reader:
        for batch in reader:
            yield from batch.to_pylist()
