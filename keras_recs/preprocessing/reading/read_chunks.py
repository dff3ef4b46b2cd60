"""Raw files cut into chunks of complete rows."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from keras_recs.preprocessing.reading.bad_rows import (
    BadRow,
    bad_line,
    bounded,
    too_long,
)
from keras_recs.preprocessing.reading.quoted_text import holds_open_quote, quoted_row
from keras_recs.preprocessing.reading.raw_files import RawFile
from keras_recs.preprocessing.reading.raw_format import RawFormat

_BOM = b"\xef\xbb\xbf"
_MAX_BATCH_ROWS = 65_536
_OPEN_QUOTE = "a double quote is not closed"


@dataclasses.dataclass
class Chunk:
    """Some consecutive rows of one file, still unparsed.

    Attributes:
        index: int. Number of the chunk in the whole input.
        file_index: int. Number of the file in the input.
        file: `RawFile`.
        names: names of the file's columns (CSV and TSV).
        data: complete lines, or Arrow IPC for Parquet.
        first_line: int. Line of the first row; in Parquet the row. From 1.
        lines: `int64` array, line of each row where rows can span lines, else `None`;
            `data` then holds no empty line and no row that is too long.
        bad: rows that were left out of `data` already.
        position: int. Bytes of the input read so far, for progress.
    """

    index: int
    file_index: int
    file: RawFile
    names: tuple[str, ...]
    data: bytes
    first_line: int
    lines: np.ndarray | None
    bad: list[BadRow]
    position: int


def read_chunks(
    files: Sequence[RawFile], raw_format: RawFormat, columns: Sequence[str]
) -> Iterator[Chunk]:
    """Cuts files into chunks; memory stays bounded whatever they hold.

    Where a chunk ends depends on the files and `raw_format` alone. A file without rows
    is a warning, and so is text whose last row does not end with a line break: a file
    may look like that because it is cut off.

    Args:
        files: list of `RawFile`.
        raw_format: `RawFormat`.
        columns: names of the columns that will be read; each must be there.

    Raises:
        ValueError: for a column that a file lacks or has twice, a file that is cut off
            or damaged, is not there, or changes meanwhile; the file is named.
    """
    index = before = 0
    for file_index, file in enumerate(files):
        first = index
        reader = _parquet_chunks if file.kind == "parquet" else _text_chunks
        for chunk in reader(file, raw_format, columns):
            chunk.index = index
            chunk.file_index = file_index
            chunk.position += before
            yield chunk
            index += 1
        if index == first:
            logging.warning("'%s' has no rows. Is it cut off?", file.path)
        before += file.size


def check_columns(file: RawFile, names: Sequence[str], columns: Sequence[str]) -> None:
    """Raises a `ValueError` for a column that is not there exactly once."""
    for column in columns:
        if names.count(column) != 1:
            raise ValueError(
                f"'{file.path}' {'lacks' if column not in names else 'repeats'} column "
                f"'{column}' of the schema. It has: {[bounded(n) for n in names[:100]]}"
            )


# === Text ===


def _text_chunks(
    file: RawFile, raw_format: RawFormat, columns: Sequence[str]
) -> Iterator[Chunk]:
    try:
        with open(file.path, "rb") as raw:
            stream: IO[bytes] = raw
            if file.compressed:
                stream = io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 18)  # type: ignore[type-var]
            cutter = _Cutter(file, raw_format, stream)
            if file.kind != "jsonl":
                names = raw_format.columns or cutter.read_header()
                check_columns(file, names, columns)
                cutter.names = names
            for chunk in cutter:
                chunk.position = min(raw.tell(), file.size)
                yield chunk
            _check_size(file, os.fstat(raw.fileno()).st_size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"'{file.path}' is a damaged or cut off gzip file: {error}. Put back a "
            "whole one, or leave it out."
        ) from error
    except OSError as error:
        raise ValueError(
            f"'{file.path}' cannot be read: {error}. Put it back, or leave it out."
        ) from error


def _check_size(file: RawFile, size: int) -> None:
    if size != file.size:
        raise ValueError(
            f"'{file.path}' has changed while it was read: it had {file.size} bytes at "
            f"first and has {size} now. Run again when it is complete."
        )


class _Cutter:
    """Cuts a stream of text after complete rows."""

    def __init__(self, file: RawFile, raw_format: RawFormat, stream: IO[bytes]):
        self.file = file
        self.names: tuple[str, ...] = ()
        self.stream = stream
        self.block = raw_format.chunk_bytes
        self.limit = raw_format.max_line_bytes
        self.line = 1
        self.quoted = file.kind == "csv"
        self.row = quoted_row(file.delimiter)
        self.carry = stream.read(max(self.block, len(_BOM))).removeprefix(_BOM)

    def read_header(self) -> tuple[str, ...]:
        """Names of the columns, from the first row."""
        while True:
            match = self.row.match(self.carry) if self.quoted else None
            end = match.end() if match else self.carry.find(b"\n") + 1
            if end and (match or not self.quoted):
                break
            block = self.stream.read(self.block)
            if not block and self.carry and not self.carry.endswith(b"\n"):
                block = b"\n"
            if not block or len(self.carry) > self.limit:
                raise ValueError(
                    f"'{self.file.path}' must name its columns in the first line, of "
                    f"at most {self.limit} bytes; or give them as `columns` of "
                    f"RawFormat, or --columns. Received: {bounded(self.carry)!r}"
                )
            self.carry += block
        header = self.carry[:end]
        self.carry = self.carry[end:]
        self.line += header.count(b"\n")
        delimiter = self.file.delimiter
        try:
            text = header.decode("utf-8").rstrip("\r\n")
            if not self.quoted:
                return tuple(text.split(delimiter))
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            return tuple(next(rows, []))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(
                f"The first line of '{self.file.path}' does not name columns: {error}"
            ) from error

    def __iter__(self) -> Iterator[Chunk]:
        data, self.carry = self.carry, b""
        while True:
            block = self.stream.read(self.block)
            at_end = not block
            if at_end and data and not data.endswith(b"\n"):
                data += b"\n"
                self._warn_of_last_row()
            if self.quoted and b'"' in data:
                chunk, data = self._cut_quoted(data, at_end)
            else:
                chunk, data = self._cut_lines(data)
            if chunk.data or chunk.bad:
                yield chunk
            if len(data) > self.limit and b"\n" not in data:
                if at_end:
                    break
                block = yield from self._skip_line(data, block)
                data = b""
            if at_end:
                break
            data += block

    def _warn_of_last_row(self) -> None:
        if self.file.kind != "jsonl":  # whose rows show where they end
            logging.warning(
                "The last row of '%s' does not end with a line break. Is the file cut "
                "off? The row is taken as it stands.",
                self.file.path,
            )

    def _chunk(self, data: bytes, line: int, lines=None, bad=()) -> Chunk:
        return Chunk(0, 0, self.file, self.names, data, line, lines, list(bad), 0)

    def _cut_lines(self, data: bytes) -> tuple[Chunk, bytes]:
        end = data.rfind(b"\n") + 1
        chunk = self._chunk(data[:end], self.line)
        self.line += data.count(b"\n", 0, end)
        return chunk, data[end:]

    def _skip_line(self, data: bytes, block: bytes):
        """Passes over the rest of a line that is too long; returns what follows it."""
        row = bad_line(self.file.path, self.line, data, too_long(self.limit))
        yield self._chunk(b"", self.line, bad=[row])
        while block and b"\n" not in block:
            block = self.stream.read(self.block)
        self.line += 1
        return block[block.find(b"\n") + 1 :] if block else b""

    def _cut_quoted(self, data: bytes, at_end: bool) -> tuple[Chunk, bytes]:
        first_line, position, kept = self.line, 0, 0
        pieces, lines, bad = [], [], []
        while position < len(data):
            end = data.find(b"\n", position) + 1
            if not end:
                break
            height = 1
            reason = too_long(self.limit) if end - position > self.limit + 1 else None
            if reason is None and data.find(b'"', position, end) >= 0:
                match = self.row.match(data, position)
                length = (match.end() if match else len(data)) - position
                if length > self.limit + 1:
                    reason = too_long(self.limit)
                elif match and holds_open_quote(match[0], self.file.delimiter):
                    reason = _OPEN_QUOTE
                elif match:
                    end = match.end()
                    height = data.count(b"\n", position, end)
                elif at_end:
                    reason = _OPEN_QUOTE
                else:
                    break
            empty = data[position:end] in (b"\n", b"\r\n")
            if reason is not None:  # of the row, the first line alone is given up
                row = data[position : end - 1]
                bad.append(bad_line(self.file.path, self.line, row, reason))
            elif not empty:
                lines.append(self.line)
            if reason is not None or empty:
                pieces.append(data[kept:position])
                kept = end
            position = end
            self.line += height
        pieces.append(data[kept:position])
        numbers = np.asarray(lines, np.int64)
        chunk = self._chunk(b"".join(pieces), first_line, numbers, bad)
        return chunk, data[position:]


# === Parquet ===


def _parquet_chunks(
    file: RawFile, raw_format: RawFormat, columns: Sequence[str]
) -> Iterator[Chunk]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(
            file.path,
            buffer_size=1 << 20,
            pre_buffer=False,
            memory_map=False,
            page_checksum_verification=True,  # of the pages that have one
        ) as table:
            check_columns(file, table.schema_arrow.names, columns)
            metadata = table.metadata
            rows = _MAX_BATCH_ROWS
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                width = 1 + group.total_byte_size // max(group.num_rows, 1)
                rows = max(1, min(rows, raw_format.chunk_bytes // width))
            first = 1
            for batch in table.iter_batches(rows, columns=list(columns)):
                data = pa.BufferOutputStream()
                with pa.ipc.new_stream(data, batch.schema) as writer:
                    writer.write_batch(batch)
                chunk = Chunk(
                    0, 0, file, (), data.getvalue().to_pybytes(), first, None, [], 0
                )
                first += batch.num_rows
                chunk.position = file.size * (first - 1) // max(metadata.num_rows, 1)
                yield chunk
            if first - 1 != metadata.num_rows:
                raise ValueError(
                    f"'{file.path}' is a damaged Parquet file: it has {first - 1} of "
                    f"{metadata.num_rows} rows. Put back a whole one, or leave it out."
                )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"'{file.path}' cannot be read as Parquet: {error}. Put back a whole one, "
            "or leave it out."
        ) from error
    _check_size(file, os.path.getsize(file.path))
