"""Grouping of more keys than fit into memory."""

from __future__ import annotations

import dataclasses
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from keras_recs.preprocessing.reading.crc32c import crc32c

_PARTITION_BITS = 4
_PARTITIONS = 1 << _PARTITION_BITS
_MAX_LEVEL = 32 // _PARTITION_BITS - 1
_CONSOLIDATE_BYTES = 1 << 18
_BATCH_ROWS = 1 << 15

Reduce = Callable[[pa.Table], pa.Table]


@dataclasses.dataclass(frozen=True)
class Piece:
    """Rows of one partition of the keys, in a file.

    Attributes:
        path: string.
        offset: int. Where in the file the Arrow stream begins.
        size: int. Its bytes.
        partition: int.
    """

    path: str
    offset: int
    size: int
    partition: int


class GroupBuffer:
    """Collects tables and reduces them to one row (or a few) a key.

    Args:
        reduce: callable, table to table: joins the rows of a key. Must not care whether
            it is applied to parts first.
    """

    def __init__(self, reduce: Reduce):
        self.reduce = reduce
        self._reduced: pa.Table | None = None
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0

    @property
    def nbytes(self) -> int:
        """Memory of what is held."""
        reduced = 0 if self._reduced is None else self._reduced.nbytes
        return reduced + self._pending_bytes

    def add(self, table: pa.Table) -> None:
        """Takes rows."""
        self._pending.append(table)
        self._pending_bytes += table.nbytes
        reduced = 0 if self._reduced is None else self._reduced.nbytes
        if self._pending_bytes > max(_CONSOLIDATE_BYTES, reduced):
            self._consolidate()

    def take(self) -> pa.Table | None:
        """Gives up what is held, reduced; `None` where nothing is."""
        self._consolidate()
        table, self._reduced = self._reduced, None
        return table

    def _consolidate(self) -> None:
        if self._pending:
            tables = [] if self._reduced is None else [self._reduced]
            self._reduced = self.reduce(pa.concat_tables(tables + self._pending))
            self._pending = []
            self._pending_bytes = 0


def write_pieces(
    tables: dict[str, pa.Table], key: str, folder: Path, level: int = 0
) -> dict[str, list[Piece]]:
    """Writes tables to one new file, cut by the hash of a key column.

    Args:
        tables: dict of tables by name.
        key: name of the binary column.
        folder: `Path`.
        level: int. Which bits of the hash cut.

    Returns:
        dict of `Piece` lists by the tables' names.
    """
    path = folder / f"groups-{secrets.token_hex(8)}"
    pieces: dict[str, list[Piece]] = {name: [] for name in tables}
    with open(path, "wb") as file:
        for name, table in tables.items():
            partitions = _partitions(table[key], level)
            order = np.argsort(partitions, kind="stable")
            bounds = np.searchsorted(partitions[order], np.arange(_PARTITIONS + 1))
            table = table.take(pa.array(order))
            for partition in range(_PARTITIONS):
                start, stop = bounds[partition : partition + 2].tolist()
                if start == stop:
                    continue
                offset = file.tell()
                with pa.ipc.new_stream(file, table.schema) as writer:
                    part = table.slice(start, stop - start).combine_chunks()
                    writer.write_table(part, max_chunksize=_BATCH_ROWS)
                size = file.tell() - offset
                pieces[name].append(Piece(str(path), offset, size, partition))
    return pieces


def read_groups(
    pieces: Iterable[Piece],
    key: str,
    reduce: Reduce,
    folder: Path,
    memory_bytes: int,
    level: int = 0,
) -> Iterator[pa.Table]:
    """Reduces pieces; a key is in one of the tables yielded, and the memory bounded.

    Args:
        pieces: what `write_pieces` returned, of any number of files.
        key, reduce: as they were written.
        folder: `Path` for more files, where a partition is too large for the memory.
        memory_bytes: int.
        level: int. At which the pieces were written.
    """
    pieces = list(pieces)
    if sum(piece.size for piece in pieces) <= memory_bytes:
        table = _reduced(pieces, reduce)
        if table is not None:
            yield table
        return
    for partition in range(_PARTITIONS):
        part = [piece for piece in pieces if piece.partition == partition]
        if sum(piece.size for piece in part) <= memory_bytes or level == _MAX_LEVEL:
            table = _reduced(part, reduce)
            if table is not None:
                yield table
            continue
        finer: list[Piece] = []
        buffer = GroupBuffer(reduce)
        for table in _tables(part):
            buffer.add(table)
            if buffer.nbytes > memory_bytes:
                finer += _spill(buffer, key, folder, level + 1)
        if not finer:  # many rows of few keys
            table = buffer.take()
            if table is not None:
                yield table
            continue
        finer += _spill(buffer, key, folder, level + 1)
        yield from read_groups(finer, key, reduce, folder, memory_bytes, level + 1)
        for path in {piece.path for piece in finer}:
            os.remove(path)


def _spill(buffer: GroupBuffer, key: str, folder: Path, level: int) -> list[Piece]:
    table = buffer.take()
    if table is None:
        return []
    return write_pieces({"": table}, key, folder, level)[""]


def _reduced(pieces: list[Piece], reduce: Reduce) -> pa.Table | None:
    buffer = GroupBuffer(reduce)
    for table in _tables(pieces):
        buffer.add(table)
    return buffer.take()


def _tables(pieces: list[Piece]) -> Iterator[pa.Table]:
    for piece in pieces:
        with open(piece.path, "rb") as file:
            file.seek(piece.offset)
            with pa.ipc.open_stream(file) as reader:
                for batch in reader:
                    yield pa.Table.from_batches([batch])


def _partitions(keys: pa.ChunkedArray, level: int) -> np.ndarray:
    parts = []
    for chunk in keys.chunks:
        data = chunk.buffers()[2]
        offsets = np.frombuffer(chunk.buffers()[1], np.int32)
        offsets = offsets[chunk.offset : chunk.offset + len(chunk) + 1]
        parts.append(crc32c(data or b"", offsets[:-1], offsets[1:]))
    hashes = np.concatenate(parts) if parts else np.zeros(0, np.uint32)
    return (hashes >> (_PARTITION_BITS * level)) & (_PARTITIONS - 1)
