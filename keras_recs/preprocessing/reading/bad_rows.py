"""Rows that cannot be used: stop at one, or set them aside and count them."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Iterable
from typing import IO

_SHOWN = 200  # characters of a value in a message
_RAW = 10_000  # characters of a raw row in the quarantine file


@dataclasses.dataclass(frozen=True)
class BadRow:
    """Where a row is, what is wrong with it, and what it holds.

    Attributes:
        file: string.
        line: int. Physical line from 1, the header included; in Parquet the row.
        column: string, or `None` where the row as a whole is wrong.
        value: string, bounded.
        reason: string.
        raw: string. The row, bounded.
    """

    file: str
    line: int
    column: str | None
    value: str
    reason: str
    raw: str = ""

    @property
    def message(self) -> str:
        """One sentence: file, line, column, value, reason."""
        column = "" if self.column is None else f", column '{self.column}'"
        return (
            f"Bad row in '{self.file}', line {self.line}{column}: {self.reason}. "
            f"Received: {self.value!r}"
        )


def bounded(text: str | bytes, limit: int = _SHOWN) -> str:
    """The beginning of a text, whatever bytes it is made of."""
    if isinstance(text, bytes):
        text = text[: 4 * limit].decode("utf-8", "backslashreplace")
    return text if len(text) <= limit else text[:limit] + "…"


def bounded_row(text: str | bytes) -> str:
    """A raw row as the quarantine file keeps it."""
    return bounded(text, _RAW)


def bad_line(file: str, line: int, row: bytes, reason: str) -> BadRow:
    """A row of text that is wrong as a whole."""
    row = row.removesuffix(b"\r")
    return BadRow(file, line, None, bounded(row), reason, bounded_row(row))


def too_long(limit: int) -> str:
    """Why a row longer than `max_line_bytes` is bad."""
    return f"the row is longer than {limit} bytes, or a double quote is not closed"


class BadRows:
    """Counts bad rows, writes them to a quarantine file, stops at one too many.

    In the end their number and the first of them are logged as a warning.

    Args:
        max_bad_rows: int. How many are set aside. Defaults to `0`: none may occur.
        quarantine: path of a JSON-lines file for them, made when there is one.
            Defaults to `None`: they are only counted.

    Raises:
        ValueError: if `max_bad_rows` is not a non-negative integer.
    """

    def __init__(
        self, max_bad_rows: int = 0, quarantine: str | os.PathLike | None = None
    ):
        if (
            not isinstance(max_bad_rows, int)
            or isinstance(max_bad_rows, bool)
            or max_bad_rows < 0
        ):
            raise ValueError(
                "`max_bad_rows` must be a non-negative integer. Received: "
                f"max_bad_rows={max_bad_rows!r}"
            )
        self.max_bad_rows = max_bad_rows
        self.quarantine = quarantine
        self.count = 0
        self._first: BadRow | None = None
        self._file: IO[str] | None = None

    def add(self, rows: Iterable[BadRow]) -> None:
        """Takes bad rows in the order of the data.

        Raises:
            ValueError: at the first row beyond `max_bad_rows`.
        """
        for row in rows:
            self.count += 1
            self._first = self._first or row
            if self.count > self.max_bad_rows:
                advice = "Correct it, or set bad rows aside with `max_bad_rows`"
                if self.max_bad_rows:
                    advice = f"More than `max_bad_rows`={self.max_bad_rows} bad rows"
                    self._close_file()
                raise ValueError(f"{row.message}. {advice}.")
            if self.quarantine is not None:
                if self._file is None:
                    self._file = open(  # noqa: SIM115
                        self.quarantine,
                        "w",
                        encoding="utf-8",
                        errors="backslashreplace",  # a lone surrogate
                    )
                values = dataclasses.asdict(row)
                self._file.write(json.dumps(values, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Puts the quarantine file on disk, and says how many rows are left out."""
        self._close_file()
        if self._first is not None:
            logging.warning(
                "%d bad rows are left out. The first: %s",
                self.count,
                self._first.message,
            )

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
