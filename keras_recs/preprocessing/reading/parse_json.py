"""JSON lines to typed columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from keras_recs.preprocessing.reading.bad_rows import bad_line
from keras_recs.preprocessing.reading.column_plan import ColumnPlan
from keras_recs.preprocessing.reading.convert_column import (
    Converted,
    check_rules,
    convert_scalars,
    pack_lists,
)
from keras_recs.preprocessing.reading.read_chunks import Chunk
from keras_recs.preprocessing.reading.text_rows import TextRows

_ARROW_TYPES = {
    "null": pa.null(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
}


def parse_json(
    chunk: Chunk, rows: TextRows, columns: Sequence[str]
) -> dict[str, list[Any]]:
    """Reads an object a row; rows that are none leave `rows`.

    Returns:
        dict of lists of JSON values; `None` where a key is absent.
    """
    objects, good = [], []
    for number in range(len(rows.lines)):
        row = rows.raw[number]
        reason = "the line is not a JSON object"
        try:
            value = json.loads(row)
            if isinstance(value, dict):
                objects.append(value)
                good.append(number)
                continue
        except UnicodeDecodeError:
            reason = "the line is not UTF-8"
        except (ValueError, RecursionError) as error:
            reason = f"the line is not JSON ({str(error)[:100]})"
        line = int(rows.lines[number])
        rows.bad.append(bad_line(chunk.file.path, line, row, reason))
    rows.keep(np.asarray(good, np.int64))
    return {name: [value.get(name) for value in objects] for name in columns}


def convert_json(values: list[Any], plan: ColumnPlan) -> Converted:
    """Converts JSON values as `convert_column` does Arrow's."""
    if not plan.is_list:
        return check_rules(_convert_items(values, plan), plan)
    flat: list[Any] = []
    lengths, errors = [], {}
    for row, value in enumerate(values):
        if isinstance(value, str):
            value = value.split(plan.separator) if value else []
        elif value is not None and not isinstance(value, list):
            errors[row] = "a list is expected"
            value = None
        lengths.append(len(value or ()))
        flat.extend(value or ())
    items = _convert_items(flat, plan)
    packed = pack_lists(items, np.asarray(lengths, np.int64), errors, plan)
    return check_rules(packed, plan)


def _convert_items(values: list[Any], plan: ColumnPlan) -> Converted:
    """Converts scalars of mixed types: those of one type together."""
    by_kind: dict[str, list[int]] = {}
    for position, kind in enumerate(map(_kind, values)):
        by_kind.setdefault(kind, []).append(position)
    parts, order, errors = [], [], {}
    for kind, positions in by_kind.items():
        part = _convert_kind([values[p] for p in positions], kind, plan)
        parts.append(part.values)
        order += positions
        errors.update({positions[row]: text for row, text in part.errors.items()})
    if not parts:
        return convert_scalars(pa.nulls(0), plan)
    if len(parts) == 1:
        return Converted(parts[0], errors)
    return Converted(pa.concat_arrays(parts).take(pa.array(np.argsort(order))), errors)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kind = type(value)
    if kind is int and not -(2**63) <= value < 2**63:
        return "huge"
    names = {str: "text", int: "int", float: "float", bool: "bool"}
    return names.get(kind, "other")


def _convert_kind(values: list[Any], kind: str, plan: ColumnPlan) -> Converted:
    if kind in _ARROW_TYPES:
        return convert_scalars(pa.array(values, _ARROW_TYPES[kind]), plan)
    errors = {}
    texts: list[bytes | None] = []
    for row, value in enumerate(values):
        text = None
        if kind == "other":
            errors[row] = f"{plan.dtype} is expected"
        else:
            try:
                text = str(value).encode("utf-8")
            except UnicodeEncodeError:
                errors[row] = "the value is not valid Unicode"
        texts.append(text)
    converted = convert_scalars(pa.array(texts, pa.binary()), plan)
    converted.errors.update(errors)
    return converted
