"""The rows of a chunk of text, and where each stands in the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_recs.preprocessing.reading.bad_rows import BadRow, bad_line, too_long
from keras_recs.preprocessing.reading.quoted_text import has_bare_return, quoted_row
from keras_recs.preprocessing.reading.read_chunks import Chunk

_CARRIAGE_RETURN = "the row holds a carriage return outside of quotes"
_NUL = "the row holds a NUL byte, as a damaged file does"


@dataclasses.dataclass
class TextRows:
    """Rows of text.

    Attributes:
        data: the rows, each with its line break, without empty lines.
        lines: `int64` array `(rows,)`: their lines in the file.
        raw: the rows by number, without their line breaks.
        bad: rows that are not in `data`.
    """

    data: bytes
    lines: np.ndarray
    raw: Sequence[bytes]
    bad: list[BadRow]

    def keep(self, rows: np.ndarray) -> None:
        """Forgets the numbers and contents of all other rows."""
        self.lines = self.lines[rows]
        self.raw = _Selected(self.raw, rows)


def text_rows(chunk: Chunk, max_line_bytes: int) -> TextRows:
    """Finds the rows of a chunk; those unusable as a whole are left out."""
    if chunk.lines is not None:
        return _quoted_rows(chunk)
    data = chunk.data
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
    heights = np.diff(ends, prepend=-1)
    returns = data.count(b"\r")
    has_empty = len(ends) and heights.min() == 1
    has_empty |= bool(returns) and (b"\n\r\n" in data or data.startswith(b"\r\n"))
    has_bare = returns != 0 and returns != data.count(b"\r\n")
    has_long = len(ends) and heights.max() > max_line_bytes
    if not (has_empty or has_bare or has_long or b"\0" in data):
        lines = chunk.first_line + np.arange(len(ends))
        return TextRows(data, lines, _Lines(data, ends), list(chunk.bad))

    rows, numbers, bad = [], [], list(chunk.bad)
    for number, line in enumerate(data.split(b"\n")[:-1], chunk.first_line):
        row = line.removesuffix(b"\r")
        reason = None
        if len(line) > max_line_bytes:
            reason = too_long(max_line_bytes)
        elif b"\r" in row and chunk.file.kind != "jsonl":
            reason = _CARRIAGE_RETURN
        elif b"\0" in row and chunk.file.kind != "jsonl":
            reason = _NUL
        if reason is not None:
            bad.append(bad_line(chunk.file.path, number, row, reason))
        elif row:
            rows.append(row)
            numbers.append(number)
    return _joined(rows, numbers, bad)


def _quoted_rows(chunk: Chunk) -> TextRows:
    rows = _QuotedRows(chunk)
    lines = np.asarray(chunk.lines)
    has_bare = chunk.data.count(b"\r") != chunk.data.count(b"\r\n")
    if not has_bare and b"\0" not in chunk.data:
        return TextRows(chunk.data, lines, rows, list(chunk.bad))
    good, numbers, bad = [], [], list(chunk.bad)
    for number, row in zip(lines.tolist(), rows, strict=True):
        if b"\0" in row:
            bad.append(bad_line(chunk.file.path, number, row, _NUL))
        elif has_bare_return(row, chunk.file.delimiter):
            bad.append(bad_line(chunk.file.path, number, row, _CARRIAGE_RETURN))
        else:
            good.append(row)
            numbers.append(number)
    return _joined(good, numbers, bad)


def _joined(rows: list[bytes], numbers: list[int], bad: list[BadRow]) -> TextRows:
    data = b"".join(row + b"\n" for row in rows)
    return TextRows(data, np.asarray(numbers, np.int64), rows, bad)


# Rows are cut out of the text only where something is wrong with one.


class _Lines(Sequence):
    def __init__(self, data: bytes, ends: np.ndarray):
        self.data = data
        self.ends = ends

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: Any) -> bytes:
        if row >= len(self.ends):
            raise IndexError(row)
        start = self.ends[row - 1] + 1 if row else 0
        return self.data[start : self.ends[row]].removesuffix(b"\r")


class _QuotedRows(Sequence):
    def __init__(self, chunk: Chunk):
        self.chunk = chunk
        self.rows: list[bytes] | None = None

    def __len__(self) -> int:
        return len(self.chunk.lines)  # type: ignore[arg-type]

    def __getitem__(self, row: Any) -> bytes:
        if self.rows is None:
            found = quoted_row(self.chunk.file.delimiter).finditer(self.chunk.data)
            self.rows = [match[0][:-1].removesuffix(b"\r") for match in found]
        return self.rows[row]


class _Selected(Sequence):
    def __init__(self, rows: Sequence[bytes], selection: np.ndarray):
        self.rows = rows
        self.selection = selection

    def __len__(self) -> int:
        return len(self.selection)

    def __getitem__(self, row: Any) -> bytes:
        return self.rows[int(self.selection[row])]
