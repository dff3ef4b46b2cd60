"""How often each value of each vocabulary occurs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_recs.preprocessing.fitting.spilled_groups import (
    GroupBuffer,
    Piece,
    write_pieces,
)
from keras_recs.schema import Schema

VALUE = "value"


@dataclasses.dataclass(frozen=True)
class CountedTable:
    """A vocabulary and the features that use it.

    Attributes:
        name: string. The table.
        features: names of the features.
        defaults: by feature: what stands in for a missing value, or `None`.
        min_count, max_size: as in the schema.
    """

    name: str
    features: tuple[str, ...]
    defaults: tuple[bytes | None, ...]
    min_count: int
    max_size: int | None


def counted_tables(schema: Schema) -> tuple[CountedTable, ...]:
    """The vocabularies that a schema needs, in its order."""
    tables = []
    for name, owner in schema.table_owners.items():
        if getattr(owner, "kind", "") != "vocabulary":
            continue
        users = [f for f in schema.raw_features if f.table_name == name]
        defaults = [getattr(user, "default", None) for user in users]
        tables.append(
            CountedTable(
                name,
                tuple(user.name for user in users),
                tuple(None if d is None else str(d).encode() for d in defaults),
                owner.min_count,  # type: ignore[union-attr]
                owner.max_vocabulary_size,  # type: ignore[union-attr]
            )
        )
    return tuple(tables)


def count_column(position: int) -> str:
    """Column of the counts of a table's feature by its number."""
    return f"count_{position}"


def sum_counts(table: pa.Table) -> pa.Table:
    """One row a value, the counts added."""
    # Not `Table.group_by`, which takes a quarter of a second to import.
    values = pa.concat_arrays(table[VALUE].chunks).dictionary_encode()
    places = values.indices.to_numpy()
    columns = {VALUE: values.dictionary}
    for name in table.column_names:
        if name != VALUE:  # exact below 2**53
            sums = np.bincount(places, table[name].to_numpy(), len(values.dictionary))
            columns[name] = pa.array(sums.astype(np.int64))
    return pa.table(columns)


class ValueCounter:
    """Counts values chunk by chunk; what outgrows the memory goes to files.

    Args:
        tables: list of `CountedTable`.
        folder: `Path` of a folder for the files.
        memory_bytes: int. What all counts together may hold in memory.
    """

    def __init__(self, tables: Sequence[CountedTable], folder: Path, memory_bytes: int):
        self.tables = tables
        self.folder = folder
        self.memory_bytes = memory_bytes
        self._buffers = {table.name: GroupBuffer(sum_counts) for table in tables}
        self._pieces: dict[str, list[Piece]] = {table.name: [] for table in tables}

    def add(self, columns: dict[str, pa.Array]) -> None:
        """Counts the values of a chunk's columns."""
        for table in self.tables:
            buffer = self._buffers[table.name]
            for position, (name, default) in enumerate(
                zip(table.features, table.defaults, strict=True)
            ):
                counted = _counts(columns[name], default)
                if len(counted):
                    zeros = pa.array(np.zeros(len(counted), np.int64))
                    buffer.add(
                        pa.table(
                            {VALUE: counted.field(0)}
                            | {
                                count_column(other): (
                                    counted.field(1) if other == position else zeros
                                )
                                for other in range(len(table.features))
                            }
                        )
                    )
        if sum(buffer.nbytes for buffer in self._buffers.values()) > self.memory_bytes:
            self._spill()

    def finish(self) -> dict[str, list[Piece]]:
        """Puts everything into files; returns their pieces by table."""
        self._spill()
        return self._pieces

    def _spill(self) -> None:
        taken = {name: buffer.take() for name, buffer in self._buffers.items()}
        tables = {name: table for name, table in taken.items() if table is not None}
        if tables:
            for name, pieces in write_pieces(tables, VALUE, self.folder).items():
                self._pieces[name] += pieces


def _counts(column: pa.Array, default: bytes | None) -> pa.StructArray:
    """Distinct values and their counts, missing ones as the default."""
    is_list = pa.types.is_list(column.type)
    missing = number_missing(column)
    counted = pc.value_counts(column.flatten() if is_list else column.drop_null())
    if default is None or not missing:
        return counted
    filled = pa.StructArray.from_arrays(
        [pa.array([default], pa.binary()), pa.array([missing], pa.int64())],
        fields=[counted.type.field(0), counted.type.field(1)],
    )
    return pa.concat_arrays([counted, filled])


def number_missing(column: pa.Array) -> int:
    """Rows without a value, or with an empty list."""
    if pa.types.is_list(column.type):
        empty = pc.equal(pc.list_value_length(column), 0)
        return int(pc.sum(empty).as_py() or 0)
    return column.null_count
