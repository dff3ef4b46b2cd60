"""CSV and TSV to columns of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from keras_recs.preprocessing.reading.bad_rows import bad_line
from keras_recs.preprocessing.reading.quoted_text import count_columns
from keras_recs.preprocessing.reading.read_chunks import Chunk
from keras_recs.preprocessing.reading.text_rows import TextRows


def parse_delimited(
    chunk: Chunk, rows: TextRows, columns: Sequence[str]
) -> dict[str, pa.Array]:
    """Splits rows into columns; those with too many or too few leave `rows`.

    Returns:
        dict of `pa.binary()` arrays; an empty value is null.
    """
    import pyarrow.csv as pacsv

    quoted = chunk.file.kind == "csv"
    data, wrong = rows.data, {}
    if not _is_utf8(data):  # such rows Arrow cannot hand to `skip`
        wrong = _wrong_rows(chunk, rows, quoted)
    if wrong:
        raw = (rows.raw[row] for row in range(len(rows.lines)) if row not in wrong)
        data = b"".join(row + b"\n" for row in raw)
    if not data:
        _set_aside(chunk, rows, wrong)
        return {name: pa.array([], pa.binary()) for name in columns}

    def skip(row) -> str:
        wrong[row.number - 1] = row.actual_columns
        return "skip"

    # By number: names of the file may repeat where the schema does not read them.
    names = [str(number) for number in range(len(chunk.names))]
    wanted = {column: names[chunk.names.index(column)] for column in columns}
    table = pacsv.read_csv(
        pa.BufferReader(data),
        pacsv.ReadOptions(
            use_threads=False, block_size=len(data) + 1, column_names=names
        ),
        pacsv.ParseOptions(
            delimiter=chunk.file.delimiter,
            quote_char='"' if quoted else False,
            double_quote=quoted,
            newlines_in_values=chunk.lines is not None,
            ignore_empty_lines=False,
            invalid_row_handler=skip,
        ),
        pacsv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(wanted.values(), pa.binary()),
            include_columns=list(wanted.values()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    if table.num_rows + len(wrong) != len(rows.lines):
        raise ValueError(
            f"'{chunk.file.path}', from line {chunk.first_line}: "
            f"{len(rows.lines)} rows were found, but {table.num_rows + len(wrong)} "
            "parsed. Are its quotes as RFC 4180 says?"
        )
    _set_aside(chunk, rows, wrong)
    return {
        column: pa.concat_arrays(
            table.column(number).chunks or [pa.array([], pa.binary())]
        )
        for column, number in wanted.items()
    }


def _is_utf8(data: bytes) -> bool:
    try:
        return data.isascii() or bool(data.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _wrong_rows(chunk: Chunk, rows: TextRows, quoted: bool) -> dict[int, int]:
    """Rows with too many or too few columns, and how many these are."""
    wrong = {}
    for row in range(len(rows.lines)):
        count = count_columns(rows.raw[row], chunk.file.delimiter, quoted)
        if count != len(chunk.names):
            wrong[row] = count
    return wrong


def _set_aside(chunk: Chunk, rows: TextRows, wrong: dict[int, int]) -> None:
    for row, count in wrong.items():
        reason = f"{len(chunk.names)} columns are expected, but the row has {count}"
        line = int(rows.lines[row])
        rows.bad.append(bad_line(chunk.file.path, line, rows.raw[row], reason))
    if wrong:
        rows.keep(np.setdiff1d(np.arange(len(rows.lines)), list(wrong)))
