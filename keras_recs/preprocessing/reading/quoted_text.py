"""The grammar of RFC 4180 text, as Arrow's parser reads it.

Quotes count at the beginning of a value only; what follows a closing quote belongs to
the value.
"""

from __future__ import annotations

import functools
import re

_QUOTED = rb'"[^"]*+(?:""[^"]*+)*+"'


@functools.cache
def quoted_row(delimiter: str) -> re.Pattern[bytes]:
    """Matches a whole row, the line breaks in its quotes included."""
    comma = re.escape(delimiter.encode())
    plain = rb'[^"%s\n][^%s\n]*+' % (comma, comma)
    value = rb"(?:%s[^%s\n]*+|%s)?+" % (_QUOTED, comma, plain)
    return re.compile(rb"%s(?:%s%s)*+\n" % (value, comma, value))


@functools.cache
def _value(delimiter: str) -> re.Pattern[bytes]:
    comma = re.escape(delimiter.encode())
    return re.compile(
        rb"(?P<quoted>%s)?+(?P<rest>[^%s\n]*+)(?:%s|$)" % (_QUOTED, comma, comma)
    )


def has_bare_return(row: bytes, delimiter: str) -> bool:
    """Whether a row holds a carriage return outside of quotes."""
    return b"\r" in row and any(
        b"\r" in value["rest"] for value in _value(delimiter).finditer(row)
    )


def holds_open_quote(row: bytes, delimiter: str) -> bool:
    """Whether a quoted value breaks the line and goes on after its closing quote.

    So does a quote that was never closed, up to the next value in quotes, which
    stands in another row.
    """
    if row.count(b"\n") < 2:
        return False
    values = _value(delimiter).finditer(row[:-1].removesuffix(b"\r"))
    return any(value["rest"] and b"\n" in (value["quoted"] or b"") for value in values)


def count_columns(row: bytes, delimiter: str, quoted: bool) -> int:
    """How many values a row has."""
    if not quoted or b'"' not in row:
        return row.count(delimiter.encode()) + 1
    values = _value(delimiter).finditer(row)
    return 1 + sum(value.end() > value.end("rest") for value in values)
