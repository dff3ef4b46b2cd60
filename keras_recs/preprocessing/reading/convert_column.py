"""Raw values of a column to the type that the schema says."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_recs.preprocessing.reading.column_plan import ColumnPlan
from keras_recs.schema import MISSING_ID

_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?")
_NAN = re.compile(r"[+-]?nan", re.IGNORECASE)
_INFINITY = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_TYPES = {"string": pa.binary(), "int64": pa.int64()}
_TYPES |= {"float32": pa.float32(), "float64": pa.float64()}

_MISSING = "the value is missing"
_NOT_UTF8 = "the value is not UTF-8"
_NOT_FINITE = "the number is not finite"
_LINE_BREAK = "a value of a vocabulary holds a line break"


class ColumnTypeError(ValueError):
    """A column as a whole has a type that its feature cannot be made of."""


@dataclasses.dataclass
class Converted:
    """A column of the right type; missing values are null, lists are never null.

    Lists hold no missing value, but where their plan keeps it.

    Attributes:
        values: Arrow array: binary, int64, float32 or float64, or a list of these.
        errors: by row: why its value is bad.
    """

    values: pa.Array
    errors: dict[int, str]


def convert_column(array: pa.Array, plan: ColumnPlan) -> Converted:
    """Converts a column and finds the rows whose value is bad.

    The result for a value does not depend on its neighbours.

    Args:
        array: Arrow array of text (binary), numbers, booleans, times, or lists.
        plan: `ColumnPlan`.

    Raises:
        ColumnTypeError: for a column of an unsuitable type as a whole.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    converted = (_lists if plan.is_list else convert_scalars)(array, plan)
    return check_rules(converted, plan)


def check_rules(converted: Converted, plan: ColumnPlan) -> Converted:
    """Adds the rows that break the plan's rule to the errors."""
    for rows, reason in _broken_rules(converted.values, plan):
        for row in np.flatnonzero(rows).tolist():
            converted.errors.setdefault(row, reason)
    return converted


def _broken_rules(values: pa.Array, plan: ColumnPlan):
    if plan.required:
        if plan.is_list:
            yield np.diff(values.offsets.to_numpy()) == 0, _MISSING
        elif values.null_count:
            yield values.is_null().to_numpy(zero_copy_only=False), _MISSING
    if plan.rule == "binary":
        numbers = _floats(values)
        wrong = ~np.isnan(numbers) & (numbers != 0) & (numbers != 1)
        yield wrong, "a binary label must be 0 or 1"
    elif plan.rule == "watch_time":
        yield _floats(values) < 0, "a watch time must not be negative"
    elif plan.rule == "weight":
        yield _floats(values) < 0, "a sample weight must not be negative"
    elif plan.rule == "vocabulary" and not plan.is_list:
        yield _with_line_break(values), _LINE_BREAK


def _floats(values: pa.Array) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False)  # null is NaN


def _with_line_break(values: pa.Array) -> np.ndarray:
    data = values.buffers()[2]
    raw = b"" if data is None else memoryview(data)
    flat = np.frombuffer(raw, np.uint8)
    if not ((flat == 10) | (flat == 13)).any():
        return np.zeros(len(values), bool)
    broken = pc.or_(pc.match_substring(values, "\n"), pc.match_substring(values, "\r"))
    return broken.fill_null(False).to_numpy(zero_copy_only=False)


# === Lists ===


def _lists(array: pa.Array, plan: ColumnPlan) -> Converted:
    kind = array.type
    errors: dict[int, str] = {}
    if _is_text(kind):
        errors = _check_utf8(array)
        array = _as_binary(array)
        if errors:
            array = _without(array, errors)
        items = pc.split_pattern(array, plan.separator.encode())  # type: ignore[union-attr]
    elif pa.types.is_null(kind):
        items = array.cast(pa.list_(pa.binary()))
    elif _is_list(kind):
        items = array
    else:
        raise ColumnTypeError(f"{kind} where a list or a text is expected")
    lengths = pc.list_value_length(items).fill_null(0).to_numpy(zero_copy_only=False)
    flat = items.flatten()  # without what stands under a null list
    if pa.types.is_dictionary(flat.type):
        flat = flat.dictionary_decode()
    return pack_lists(convert_scalars(flat, plan), lengths, errors, plan)


def pack_lists(
    items: Converted, lengths: np.ndarray, errors: dict[int, str], plan: ColumnPlan
) -> Converted:
    """Converted items to lists; errors are the row's.

    Missing items are dropped, unless the plan keeps them.
    """
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])  # (rows + 1,)
    if plan.rule == "vocabulary":
        for position in np.flatnonzero(_with_line_break(items.values)).tolist():
            items.errors.setdefault(position, _LINE_BREAK)
    for position, reason in items.errors.items():
        row = int(np.searchsorted(offsets, position, side="right")) - 1
        errors.setdefault(row, reason)
    values = items.values
    if values.null_count and not plan.keep_missing:
        kept = values.is_valid().to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(kept)])[offsets]
        values = values.drop_null()
    offsets = pa.array(offsets, pa.int32())
    return Converted(pa.ListArray.from_arrays(offsets, values), errors)


# === Scalars ===


def convert_scalars(array: pa.Array, plan: ColumnPlan) -> Converted:
    """Converts values one by one; of a list's plan, its items."""
    kind = array.type
    convert: Callable[[pa.Array], Converted]
    if pa.types.is_null(kind):
        return Converted(pa.nulls(len(array), _TYPES[plan.dtype]), {})
    if pa.types.is_decimal(kind):
        array, kind = array.cast(pa.float64()), pa.float64()
    if plan.dtype == "string":
        converters = (_text_to_text, _integers_to_text, _floats_to_text)
        if pa.types.is_boolean(kind):
            array = pc.if_else(array, pa.scalar(b"True"), pa.scalar(b"False"))
            return Converted(array, {})
    elif plan.dtype == "int64":
        converters = (_text_to_integers, _integers_to_integers, _floats_to_integers)
        if plan.rule == "time":
            converters = (_text_to_time, _integers_to_integers, _floats_to_time)
    else:
        converters = (_text_to_floats, _numbers_to_floats, _numbers_to_floats)
    is_time = plan.rule == "time" or plan.dtype == "float64"
    if pa.types.is_boolean(kind):
        array, kind = array.cast(pa.int64()), pa.int64()
    if pa.types.is_temporal(kind) and is_time and not pa.types.is_time(kind):
        array, kind = _seconds(array), pa.float64()
    if _is_text(kind):
        convert = converters[0]
    elif pa.types.is_integer(kind):
        convert = converters[1]
    elif pa.types.is_floating(kind):
        convert = converters[2]
    else:
        raise ColumnTypeError(f"{kind} where {plan.dtype} is expected")
    converted = convert(array)
    if plan.dtype == "int64" and plan.rule != "time":
        missing = pc.equal(converted.values, MISSING_ID)
        if pc.any(missing).as_py():
            null = pa.scalar(None, pa.int64())
            converted.values = pc.if_else(missing, null, converted.values)
    elif plan.dtype == "float32":
        _check_finite(converted)
    return converted


def _check_finite(converted: Converted) -> None:
    values = converted.values.cast(pa.float32(), safe=False)
    infinite = np.isinf(values.to_numpy(zero_copy_only=False))
    for row in np.flatnonzero(infinite).tolist():
        converted.errors.setdefault(row, _NOT_FINITE)
    converted.values = values


def _is_text(kind: pa.DataType) -> bool:
    names = "is_string is_large_string is_binary is_large_binary is_fixed_size_binary"
    names += " is_string_view is_binary_view"
    return any(getattr(pa.types, name, lambda _: False)(kind) for name in names.split())


def _is_list(kind: pa.DataType) -> bool:
    names = "is_list is_large_list is_fixed_size_list"
    return any(getattr(pa.types, name)(kind) for name in names.split())


def _as_binary(array: pa.Array) -> pa.Array:
    """Text as `pa.binary()`, the empty text as null."""
    if array.type != pa.binary():
        array = array.cast(pa.binary())
    if len(array) == 0:
        return array
    empty = pc.equal(pc.binary_length(array), 0)
    if pc.any(empty).as_py():
        array = pc.if_else(empty, pa.scalar(None, pa.binary()), array)
    return array


def _check_utf8(array: pa.Array) -> dict[int, str]:
    """Rows whose bytes are not UTF-8."""
    try:
        array.cast(pa.binary()).cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        errors = {}
        for row, value in enumerate(array.to_pylist()):
            try:
                if isinstance(value, bytes):
                    value.decode("utf-8")
            except UnicodeDecodeError:
                errors[row] = _NOT_UTF8
        return errors
    return {}


def _without(array: pa.Array, rows: dict[int, str]) -> pa.Array:
    """The array with null in some rows."""
    wrong = np.zeros(len(array), bool)
    wrong[list(rows)] = True
    return pc.if_else(pa.array(wrong), pa.scalar(None, array.type), array)


def _by_distinct(
    array: pa.Array, kind: pa.DataType, convert: Callable[[Any], Any]
) -> Converted:
    """Converts each distinct value in Python.

    `convert` returns the value, `None` where it is missing, or raises a `ValueError`
    with the reason.
    """
    encoded = array.dictionary_encode()
    values, reasons = [], {}
    for index, value in enumerate(encoded.dictionary.to_pylist()):
        try:
            values.append(None if value is None else convert(value))
        except ValueError as error:
            values.append(None)
            reasons[index] = str(error)
    codes = encoded.indices
    errors = {}
    if reasons:
        bad = pc.is_in(codes, pa.array(list(reasons), codes.type))
        for row in np.flatnonzero(bad.to_numpy(zero_copy_only=False)).tolist():
            errors[row] = reasons[codes[row].as_py()]
    return Converted(pa.array(values, kind).take(codes), errors)


# === From text ===


def _text_to_text(array: pa.Array) -> Converted:
    errors = _check_utf8(array)
    array = _as_binary(array)
    return Converted(_without(array, errors) if errors else array, errors)


def _text_to_integers(array: pa.Array) -> Converted:
    array = _as_binary(array)
    fast = _cast_text(array, pa.int64())
    if fast is not None:
        return Converted(fast, {})
    return _by_distinct(array, pa.int64(), _parse_integer)


def _text_to_time(array: pa.Array) -> Converted:
    array = _as_binary(array)
    fast = _cast_text(array, pa.int64())
    if fast is not None:
        return Converted(fast, {})

    def parse(value: bytes) -> int | None:
        if _INTEGER.fullmatch(_decode(value).strip()):
            return _parse_integer(value)
        number = _parse_number(value)
        return None if number is None else _int64(math.floor(number))

    return _by_distinct(array, pa.int64(), parse)


def _text_to_floats(array: pa.Array) -> Converted:
    array = _as_binary(array)
    fast = _cast_text(array, pa.float64())
    # Arrow reads some spellings of NaN that we do not.
    if fast is not None and np.isfinite(fast.drop_null().to_numpy()).all():
        return Converted(fast, {})
    return _by_distinct(array, pa.float64(), _parse_number)


def _cast_text(array: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """Arrow's fast conversion, or `None` where some text is not plain."""
    try:
        text = array.cast(pa.string())
        # Arrow reads 0x1F.
        if pc.any(pc.match_substring(text, "x", ignore_case=True)).as_py():
            return None
        return text.cast(kind)
    except pa.ArrowInvalid:
        return None


def _decode(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(_NOT_UTF8)


def _parse_integer(value: bytes) -> int:
    text = _decode(value).strip()
    if not _INTEGER.fullmatch(text):
        raise ValueError("the value is not an integer")
    return _int64(int(text))


def _int64(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise ValueError("the integer does not fit into 64 bits")
    return value


def _parse_number(value: bytes) -> float | None:
    text = _decode(value).strip()
    if _NAN.fullmatch(text):
        return None
    if _INFINITY.fullmatch(text):
        raise ValueError(_NOT_FINITE)
    if not _NUMBER.fullmatch(text):
        raise ValueError("the value is not a number")
    number = float(text)
    if math.isinf(number):
        raise ValueError(_NOT_FINITE)
    return number


# === From numbers ===


def _integers_to_text(array: pa.Array) -> Converted:
    return Converted(array.cast(pa.string()).cast(pa.binary()), {})


def _integers_to_integers(array: pa.Array) -> Converted:
    try:
        return Converted(array.cast(pa.int64()), {})
    except pa.ArrowInvalid:  # beyond 2**63
        return _by_distinct(array, pa.int64(), _int64)


def _floats_to_text(array: pa.Array) -> Converted:
    def write(number: float) -> bytes | None:
        if math.isnan(number):
            return None
        if math.isinf(number):
            raise ValueError(_NOT_FINITE)
        return str(int(number) if number.is_integer() else number).encode()

    return _by_distinct(array, pa.binary(), write)


def _floats_to_integers(array: pa.Array) -> Converted:
    def whole(number: float) -> int | None:
        if math.isnan(number):
            return None
        if math.isinf(number) or not number.is_integer():
            raise ValueError("the value is not an integer")
        return _int64(int(number))

    return _by_distinct(array, pa.int64(), whole)


def _floats_to_time(array: pa.Array) -> Converted:
    def floor(number: float) -> int | None:
        if math.isnan(number):
            return None
        if math.isinf(number):
            raise ValueError(_NOT_FINITE)
        return _int64(math.floor(number))

    return _by_distinct(array, pa.int64(), floor)


def _numbers_to_floats(array: pa.Array) -> Converted:
    values = array.cast(pa.float64(), safe=False)
    numbers = values.to_numpy(zero_copy_only=False)
    errors = dict.fromkeys(np.flatnonzero(np.isinf(numbers)).tolist(), _NOT_FINITE)
    if np.isnan(numbers).any():
        values = pa.array(numbers, from_pandas=True)
    return Converted(values, errors)


def _seconds(array: pa.Array) -> pa.Array:
    """Times since 1970 in seconds."""
    if pa.types.is_duration(array.type):
        raise ColumnTypeError(f"{array.type} where a time is expected")
    micros = array.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    return pc.divide(micros.cast(pa.float64()), 1e6)
