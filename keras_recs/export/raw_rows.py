"""Rows of raw features, in the forms in which a server receives them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_recs.data.raw_columns import RawColumn, raw_columns
from keras_recs.export.generate_rows import generate_rows
from keras_recs.schema import MISSING_ID, Schema

NUM_ROWS = 1_000
MAX_EXAMPLES = 900


@dataclasses.dataclass(frozen=True)
class RawRows:
    """Rows of raw features.

    Args:
        columns: `RawColumn` by feature; missing values are `""`, −1 and NaN.
        value_weights: by feature: the column that weighs its values. Defaults to none.
    """

    columns: dict[str, RawColumn]
    value_weights: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def for_check(cls, schema: Schema, examples: Any = None, seed: int = 0) -> RawRows:
        """The 1,000 rows on which an export is checked.

        Args:
            schema: fitted `keras_recs.Schema`.
            examples: real rows, of which up to 900 come first. Defaults to `None`.
            seed: int. Seed of the generated rows. Defaults to `0`.

        Raises:
            ValueError: for examples that lack a feature or hold no row.
        """
        # A request holds features alone, and may lack one that is the group key too.
        schema = dataclasses.replace(schema, labels=(), group_key=None, timestamp=None)
        real = {}
        if examples is not None:
            real = raw_columns(examples, schema)
            if not all(len(column) for column in real.values()):
                raise ValueError("`examples` must hold at least one row.")
            real = {name: _head(column, MAX_EXAMPLES) for name, column in real.items()}
        num_real = len(next(iter(real.values()))) if real else 0
        generated = raw_columns(
            generate_rows(schema, NUM_ROWS - num_real, seed), schema
        )
        columns = {
            name: _without_missing(_joined(real[name], column) if real else column)
            for name, column in generated.items()
        }
        return cls(columns, schema.value_weights)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def arrays(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Rows `start … stop − 1` by feature: `(B,)`, lists filled up to `(B, L)`.

        Weights are as wide as the values of their feature.
        """
        arrays = {n: _dense(c, start, stop) for n, c in self.columns.items()}
        for name, weights in self.value_weights.items():
            missing = arrays[name].shape[1] - arrays[weights].shape[1]
            arrays[weights] = np.pad(
                arrays[weights], ((0, 0), (0, missing)), constant_values=np.nan
            )
        return arrays

    def examples(self, start: int, stop: int) -> np.ndarray:
        """The same rows as serialized `tf.train.Example`s; missing values left out."""
        import tensorflow as tf

        serialized = np.empty(stop - start, object)
        for index in range(start, stop):
            example = tf.train.Example()
            for name, column in self.columns.items():
                values = _values(column, index)
                if len(values):
                    feature = example.features.feature[name]
                    if values.dtype == object:
                        feature.bytes_list.value.extend(values.tolist())
                    elif values.dtype == np.int64:
                        feature.int64_list.value.extend(values.tolist())
                    else:
                        feature.float_list.value.extend(values.tolist())
            serialized[index - start] = example.SerializeToString(deterministic=True)
        return serialized

    def describe(self, index: int) -> dict[str, Any]:
        """One row for a reader, with strings as text."""
        row: dict[str, Any] = {}
        for name, column in self.columns.items():
            values = [
                value.decode("utf-8", "replace") if isinstance(value, bytes) else value
                for value in _slice(column, index).tolist()
            ]
            row[name] = values[0] if column.row_splits is None else values
        return row


def _slice(column: RawColumn, index: int) -> np.ndarray:
    if column.row_splits is None:
        return column.values[index : index + 1]
    return column.values[column.row_splits[index] : column.row_splits[index + 1]]


def _is_there(values: np.ndarray) -> np.ndarray:
    if values.dtype == object:
        return values != b""
    return ~np.isnan(values) if values.dtype == np.float32 else values != MISSING_ID


def _values(column: RawColumn, index: int) -> np.ndarray:
    values = _slice(column, index)
    return values[_is_there(values)]


def _head(column: RawColumn, count: int) -> RawColumn:
    if column.row_splits is None:
        return RawColumn(column.values[:count])
    splits = column.row_splits[: count + 1]
    return RawColumn(column.values[: splits[-1]], splits)


def _joined(first: RawColumn, second: RawColumn) -> RawColumn:
    values = np.concatenate([first.values, second.values])
    if first.row_splits is None or second.row_splits is None:
        return RawColumn(values)
    shifted = second.row_splits[1:] + first.row_splits[-1]
    return RawColumn(values, np.concatenate([first.row_splits, shifted]))


def _without_missing(column: RawColumn) -> RawColumn:
    """A list column without the filling of its lists."""
    if column.row_splits is None:
        return column
    kept = _is_there(column.values)
    counts = np.concatenate([[0], np.cumsum(kept)])
    return RawColumn(column.values[kept], counts[column.row_splits])


def _dense(column: RawColumn, start: int, stop: int) -> np.ndarray:
    if column.row_splits is None:
        return column.values[start:stop]
    lengths = np.diff(column.row_splits[start : stop + 1])
    width = max(1, int(lengths.max(initial=0)))
    there = np.arange(width) < lengths[:, None]  # (B, L)
    fillings = {"O": b"", "i": MISSING_ID, "f": np.nan}
    filling = fillings[column.values.dtype.kind]
    dense = np.full(there.shape, filling, column.values.dtype)
    dense[there] = column.values[column.row_splits[start] : column.row_splits[stop]]
    return dense
