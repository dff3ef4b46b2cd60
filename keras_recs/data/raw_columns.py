"""Columns in memory to the raw values that a schema describes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_recs.preprocessing.reading.align_weights import align_weights
from keras_recs.schema import MISSING_ID, Column, Label, Schema


@dataclasses.dataclass(frozen=True)
class RawColumn:
    """One column: flat values, and for a list column where each row's end."""

    values: np.ndarray
    row_splits: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values if self.row_splits is None else self.row_splits[1:])

    def tensor(self, start: int, stop: int):
        """Rows `start … stop − 1` as a tensor, ragged for a list column."""
        import tensorflow as tf

        if self.row_splits is None:
            return tf.constant(self.values[start:stop])
        splits = self.row_splits[start : min(stop, len(self)) + 1]
        values = tf.constant(self.values[splits[0] : splits[-1]])
        return tf.RaggedTensor.from_row_splits(values, splits - splits[0])


def raw_columns(
    data: Any, schema: Schema, *, features_only: bool = False
) -> dict[str, RawColumn]:
    """The columns of a schema from a dict of arrays or a `DataFrame`.

    Raises:
        ValueError: for a missing column, columns of different lengths, a value of the
            wrong type, weights that are not as many as the values, or a weight that is
            not finite; the column is named.
    """
    features = schema.request_columns
    aligned = {*schema.value_weights, *schema.value_weights.values()}
    columns = {}
    for name, column in schema.columns.items():
        if features_only and name not in features:
            continue
        if name not in data:
            raise ValueError(
                f"`data` lacks column '{name}' of the schema. Received: "
                f"{[str(key) for key in data]}"
            )
        values = _array(data[name])
        columns[name] = _raw_column(values, column, keep_missing=name in aligned)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"All columns of `data` must have as many rows. Received: {lengths}"
        )
    for name, weights in schema.value_weights.items():
        _align(columns, name, weights)
    for label in schema.labels if not features_only else ():
        _check_label(columns, label)
    for name, given in schema.given.items() if not features_only else ():
        _check_funnel(columns, name, given)
    return columns


def _check_label(columns: dict[str, RawColumn], label: Label) -> None:
    """The rules that `pipelines.prepare` applies to files."""
    values = columns[label.name].values
    missing = np.isnan(values) & label.optional
    rights = [(label.name, np.isfinite(values), "finite")]
    if label.task == "binary":
        rights = [(label.name, (values == 0) | (values == 1), "0 or 1")]
    elif label.task == "watch_time":
        right = np.isfinite(values) & (values >= 0)
        rights = [(label.name, right, "a finite number of at least 0")]
    rights[0] = (label.name, rights[0][1] | missing, rights[0][2])
    if label.sample_weight:
        weights = columns[label.sample_weight].values
        right = np.isfinite(weights) & (weights >= 0)
        rights.append((label.sample_weight, right, "a finite number of at least 0"))
    for name, right, rule in rights:
        if not right.all():
            values = columns[name].values
            row = int(np.argmin(right))
            raise ValueError(
                f"Column '{name}' must be {rule} in every row. Received: {values[row]} "
                f"in row {row}."
            )


def _check_funnel(columns: dict[str, RawColumn], name: str, given: str) -> None:
    wrong = (columns[name].values == 1) & (columns[given].values != 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"Column '{name}' cannot be 1 where '{given}' is not. Received: "
            f"{name}=1, {given}={columns[given].values[row]:g} in row {row}."
        )


def _align(columns: dict[str, RawColumn], name: str, weights: str) -> None:
    """Drops the missing values of a list together with their weights."""
    values, splits = columns[name].values, np.asarray(columns[name].row_splits)
    numbers = columns[weights].values
    number_splits = np.asarray(columns[weights].row_splits)
    there = values != (MISSING_ID if values.dtype == np.int64 else b"")
    known = ~np.isnan(numbers)
    kept, errors = align_weights(there, splits, known, number_splits, name)
    for position in np.flatnonzero(np.isinf(numbers)):
        row = int(np.searchsorted(number_splits, position, side="right")) - 1
        errors.setdefault(row, "a weight is not finite")
    for row, reason in sorted(errors.items()):
        start, stop = number_splits[row : row + 2]
        raise ValueError(
            f"Column '{weights}' must have a finite weight for each value of '{name}', "
            f"or none at all: {reason}. Received: {numbers[start:stop].tolist()} in "
            f"row {row}."
        )
    columns[name] = _kept_items(columns[name], there)
    columns[weights] = _kept_items(columns[weights], kept)


def _kept_items(column: RawColumn, kept: np.ndarray) -> RawColumn:
    counts = np.concatenate([[0], np.cumsum(kept)])
    return RawColumn(column.values[kept], counts[np.asarray(column.row_splits)])


def _array(values: Any) -> Any:
    """Values as a NumPy array, or as a list where a row is a list itself."""
    if hasattr(values, "to_numpy"):
        return values.to_numpy()
    return values


def _raw_column(
    values: Any, column: Column, *, keep_missing: bool = False
) -> RawColumn:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ValueError(
            f"Column '{column.name}' must be an array or a list with an entry a row. "
            f"Received: {values!r}"
        )
    if not column.is_list:
        return RawColumn(_scalars(values, column))
    flat: list[Any] = []
    splits = [0]
    for row in values:
        if isinstance(row, bytes):
            row = row.decode("utf-8")
        if isinstance(row, str):
            row = row.split(column.separator) if row else ()
        elif _is_missing(row):
            row = ()
        elif not isinstance(row, Iterable):  # a number: the text of one value
            row = (row,)
        # −1 fills up lists of integer ids, as "" does those of strings.
        filler = MISSING_ID if column.dtype == "int64" else ""
        flat.extend(
            x for x in row if keep_missing or not (_is_missing(x) or x == filler)
        )
        splits.append(len(flat))
    scalars = _scalars(flat, column)
    return RawColumn(scalars, np.asarray(splits, "int64"))


def _is_missing(value: Any) -> bool:
    if value is None or (isinstance(value, (str, bytes)) and not value):
        return True
    # pandas.NA is neither equal to itself nor a truth value.
    if type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and math.isnan(value)


def _scalars(values: Any, column: Column) -> np.ndarray:
    # NumPy would make text of a NaN, or floats of large integers, in a mixed list.
    is_list = isinstance(values, (list, tuple))
    array = np.asarray(values, object) if is_list else np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"Column '{column.name}' must have one value a row. Received an array of "
            f"shape {array.shape}"
        )
    if column.dtype == "string":
        result = _strings(array, column)
    elif column.dtype == "int64":
        result = _integers(array, column)
    else:
        result = _floats(array, column)
    if column.required:
        missing = result != result
        if column.dtype != "float32":
            missing = result == (b"" if column.dtype == "string" else MISSING_ID)
        if missing.any():
            raise ValueError(
                f"Column '{column.name}' must have a value in every row. Received none "
                f"in row {int(np.argmax(missing))}."
            )
    return result


def _strings(array: np.ndarray, column: Column) -> np.ndarray:
    if array.dtype.kind in "iu":
        return array.astype("S")
    if array.dtype.kind == "S":
        return array.astype(object)
    result = np.empty(array.shape, object)
    for row, value in enumerate(array.tolist()):
        if isinstance(value, (list, tuple, set, dict, np.ndarray)):
            raise ValueError(
                f"Column '{column.name}' must have one value a row. Received: "
                f"{value!r} in row {row}. Is it a MultiValuedFeature?"
            )
        result[row] = _as_bytes(value)
    return result


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if _is_missing(value):
        return b""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas makes floats of integers beside a missing one
    return str(value).encode("utf-8")


def _integers(array: np.ndarray, column: Column) -> np.ndarray:
    if array.dtype.kind in "iub":
        return array.astype("int64")
    if array.dtype.kind in "mM":
        raise ValueError(
            f"Column '{column.name}' must hold integers. Received: {array.dtype}. Give "
            "seconds: values.astype('datetime64[s]').astype('int64')."
        )
    result = np.full(array.shape, MISSING_ID, "int64")
    for row, value in enumerate(array.tolist()):
        if _is_missing(value):
            continue
        try:
            result[row] = int(value)
            wrong = isinstance(value, float) and value != result[row]
        except (ValueError, TypeError, OverflowError):
            wrong = True
        if wrong:
            raise ValueError(
                f"Column '{column.name}' must hold integer ids. Received: {value!r} in "
                f"row {row}"
            )
    return result


def _floats(array: np.ndarray, column: Column) -> np.ndarray:
    if array.dtype.kind in "iubf":
        return array.astype("float32")
    result = np.full(array.shape, np.nan, "float32")
    for row, value in enumerate(array.tolist()):
        if _is_missing(value):
            continue
        try:
            if isinstance(value, str) and "_" in value:
                raise ValueError  # a number to Python alone
            result[row] = float(value)
        except (ValueError, TypeError):
            raise ValueError(
                f"Column '{column.name}' must hold numbers. Received: {value!r} in row "
                f"{row}"
            )
    return result
