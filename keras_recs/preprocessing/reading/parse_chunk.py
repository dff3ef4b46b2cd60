"""Raw rows to typed columns, and what is wrong with the others."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from keras_recs.preprocessing.reading.align_weights import align_weights
from keras_recs.preprocessing.reading.bad_rows import BadRow, bounded, bounded_row
from keras_recs.preprocessing.reading.column_plan import ColumnPlan
from keras_recs.preprocessing.reading.convert_column import (
    ColumnTypeError,
    Converted,
    convert_column,
)
from keras_recs.preprocessing.reading.parse_delimited import parse_delimited
from keras_recs.preprocessing.reading.parse_json import convert_json, parse_json
from keras_recs.preprocessing.reading.read_chunks import Chunk
from keras_recs.preprocessing.reading.text_rows import TextRows, text_rows


@dataclasses.dataclass
class ParsedChunk:
    """The good rows of a chunk.

    Attributes:
        index: int. Number of the chunk.
        file_index: int. Number of the file.
        columns: Arrow arrays by name; a missing value is null, a missing list empty.
        lines: `int64` array `(rows,)`: the line (in Parquet the row) of each in its
            file.
        bad: list of `BadRow`, by line.
    """

    index: int
    file_index: int
    columns: dict[str, pa.Array]
    lines: np.ndarray
    bad: list[BadRow]

    def __len__(self) -> int:
        return len(self.lines)


def parse_chunk(
    chunk: Chunk, plans: Sequence[ColumnPlan], max_line_bytes: int
) -> ParsedChunk:
    """Parses a chunk.

    Args:
        chunk: `Chunk` of `read_chunks`.
        plans: the columns to make.
        max_line_bytes: int. As in `RawFormat`.

    Raises:
        ValueError: for a column whose type as a whole is unsuitable (Parquet).
    """
    sources = list(dict.fromkeys(plan.source for plan in plans))
    raw: dict[str, Any]
    rows: TextRows | None = None
    if chunk.file.kind == "parquet":
        raw, lines, bad = _parquet_rows(chunk)
    else:
        rows = text_rows(chunk, max_line_bytes)
        parse = parse_json if chunk.file.kind == "jsonl" else parse_delimited
        raw = parse(chunk, rows, sources)
        lines, bad = rows.lines, rows.bad

    columns: dict[str, pa.Array] = {}
    errors: dict[int, tuple[str, str]] = {}
    for plan in plans:
        converted = _convert(chunk, raw[plan.source], plan)
        columns[plan.name] = converted.values
        for row, reason in converted.errors.items():
            errors.setdefault(row, (plan.source, reason))
    for plan in plans:
        if plan.weights is not None:
            for row, reason in _align(columns, plan.name, plan.weights).items():
                errors.setdefault(row, (plan.weights, reason))
        if plan.given is not None:
            contradictions = _contradictions(columns, plan.name, plan.given)
            for row, reason in contradictions.items():
                errors.setdefault(row, (plan.source, reason))
    if errors:
        for row, (column, reason) in errors.items():
            line = int(lines[row])
            value = bounded(_shown(raw[column][row]))
            whole = bounded_row(_raw_row(raw, rows, row))
            bad.append(BadRow(chunk.file.path, line, column, value, reason, whole))
        good = np.ones(len(lines), bool)
        good[list(errors)] = False
        columns = {n: values.filter(pa.array(good)) for n, values in columns.items()}
        lines = lines[good]
    bad.sort(key=lambda row: row.line)
    return ParsedChunk(chunk.index, chunk.file_index, columns, lines, bad)


def _convert(chunk: Chunk, values: Any, plan: ColumnPlan) -> Converted:
    if isinstance(values, list):
        return convert_json(values, plan)
    try:
        return convert_column(values, plan)
    except ColumnTypeError as error:
        raise ValueError(
            f"Column '{plan.source}' of '{chunk.file.path}' has an unsuitable type: "
            f"{error}."
        ) from error


def _align(columns: dict[str, pa.Array], name: str, weights: str) -> dict[int, str]:
    """Drops the missing values of a list together with their weights."""
    there, starts = _items(columns[name])
    known, weight_starts = _items(columns[weights])
    kept, errors = align_weights(there, starts, known, weight_starts, name)
    columns[name] = _kept_items(columns[name], there, starts)
    columns[weights] = _kept_items(columns[weights], kept, weight_starts)
    return errors


def _contradictions(
    columns: dict[str, pa.Array], name: str, given: str
) -> dict[int, str]:
    """Rows whose label says what cannot be without the other."""
    said, other = (
        columns[column].to_numpy(zero_copy_only=False) for column in (name, given)
    )
    rows = np.flatnonzero((said == 1) & (other != 1)).tolist()
    return dict.fromkeys(rows, f"'{name}' is 1 where '{given}' is not")


def _items(lists: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
    """Which items are there, and where among them each list begins."""
    starts = lists.offsets.to_numpy().astype(np.int64)
    there = lists.flatten().is_valid().to_numpy(zero_copy_only=False)
    return there, starts - starts[0]


def _kept_items(
    lists: pa.ListArray, kept: np.ndarray, starts: np.ndarray
) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum(kept)])[starts]
    items = lists.flatten().filter(pa.array(kept))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items)


def _parquet_rows(chunk: Chunk) -> tuple[dict[str, pa.Array], np.ndarray, list[BadRow]]:
    with pa.ipc.open_stream(chunk.data) as reader:
        batch = reader.read_next_batch()
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    return columns, chunk.first_line + np.arange(batch.num_rows), []


def _shown(value: Any) -> str | bytes:
    if isinstance(value, pa.Scalar):
        value = value.as_py()
    if value is None:
        return ""
    return value if isinstance(value, (str, bytes)) else repr(value)


def _raw_row(raw: dict[str, Any], rows: TextRows | None, row: int) -> str | bytes:
    if rows is not None:
        return rows.raw[row]
    cells = {name: values[row].as_py() for name, values in raw.items()}
    return json.dumps(cells, default=str)
