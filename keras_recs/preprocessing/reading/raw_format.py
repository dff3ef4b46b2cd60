"""How raw files are to be read."""

from __future__ import annotations

import dataclasses

KINDS = ("auto", "csv", "tsv", "jsonl", "parquet")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RawFormat:
    """Format of raw files.

    Text is UTF-8, gzipped or not (the first bytes tell). An empty line is skipped.

    Args:
        kind: `"csv"` (RFC 4180: a value in double quotes may hold delimiters, doubled
            quotes and line breaks), `"tsv"` (no quoting), `"jsonl"` (an object a
            line), `"parquet"`, or `"auto"`: by the file's ending. Defaults to
            `"auto"`.
        delimiter: one ASCII character. Defaults to `None`: a comma for `"csv"`, a tab
            for `"tsv"`.
        columns: names of the columns of a text file that does not name them in its
            first line. Defaults to `None`: the first line does.
        max_line_bytes: int. A longer row is a bad row. Defaults to 1 MiB.
        chunk_bytes: int. Text that travels to a worker at a time. Defaults to 1 MiB.

    Raises:
        ValueError: for a value that is not as said above.
    """

    kind: str = "auto"
    delimiter: str | None = None
    columns: tuple[str, ...] | None = None
    max_line_bytes: int = 1 << 20
    chunk_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"`kind` must be one of {KINDS}. Received: kind={self.kind!r}"
            )
        if self.delimiter is not None and not (
            isinstance(self.delimiter, str)
            and len(self.delimiter) == 1
            and self.delimiter.isascii()
            and self.delimiter not in '\r\n"\0'
        ):
            raise ValueError(
                "`delimiter` must be one ASCII character, neither a quote nor a line "
                f"break. Received: delimiter={self.delimiter!r}"
            )
        if self.columns is not None:
            object.__setattr__(self, "columns", tuple(self.columns))
            doubled = {name for name in self.columns if self.columns.count(name) > 1}
            if doubled or not self.columns:
                raise ValueError(
                    "`columns` must name each column of the file once. Received twice: "
                    f"{sorted(doubled)}; columns={list(self.columns)}"
                )
        for name in ("max_line_bytes", "chunk_bytes"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= 1 << 30:
                raise ValueError(
                    f"`{name}` must be an integer from 1 to 2**30. Received: "
                    f"{name}={value!r}"
                )
