"""Attributes of items from raw files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_recs.data.history_feature import history_feature
from keras_recs.preprocessing.reading.bad_rows import BadRows
from keras_recs.preprocessing.reading.chunk_task import ChunkTask, Pass
from keras_recs.preprocessing.reading.column_plan import ColumnPlan
from keras_recs.preprocessing.reading.parse_chunk import ParsedChunk
from keras_recs.preprocessing.reading.process_pool import ProcessPool
from keras_recs.preprocessing.reading.raw_files import Files, raw_files
from keras_recs.preprocessing.reading.raw_format import RawFormat
from keras_recs.schema import Schema

_ITEM = "\0item"  # a NUL cannot be part of a name of a column


def item_attributes(
    files: Files,
    schema: Schema,
    columns: Sequence[str],
    *,
    items: str | None = None,
    item_column: str | None = None,
    raw_format: RawFormat | None = None,
    max_bad_rows: int = 0,
) -> np.ndarray:
    """The attributes of each row of the items' table, as models of sequences take them.

    An attribute is a value of a column: the brand "A" is another one than the category
    "A". Attributes are numbered by column and value. Rows of one item are joined; items
    that the schema does not know are left out.

    Args:
        files: path, glob or list of them, as in `prepare`: a row an item.
        schema: a fitted `keras_recs.Schema` with a sequence feature of the items.
        columns: names of the columns with attributes: text with `|` between values, or
            a list where the format has lists.
        items: string. Name of the feature. Defaults to `None`: the only one.
        item_column: string. Column with the item, as histories have it. Defaults to
            `None`: of the feature's name.
        raw_format: as in `prepare`. Defaults to `None`.
        max_bad_rows: int. As in `prepare`. Defaults to `0`.

    Returns:
        int32 `(rows of the table, n)`: attributes from 1, 0 where an item has less; for
        `s3rec(attributes=…)` and `ItemEvents(attributes=…)`.

    Raises:
        ValueError: for a schema that is not fitted or has no such feature, for no
            column, a bad row, and files in which no known item has an attribute.

    Example:
        table = keras_recs.data.item_attributes("items.csv", schema, ["brand"])
        model = keras_recs.models.s3rec(schema, stage="pretrain", attributes=table)
    """
    import tensorflow as tf

    from keras_recs.preprocessing.schema_preprocessor import SchemaPreprocessor

    schema.check_fitted("item_attributes")
    if isinstance(columns, str) or not columns:
        raise ValueError(
            f"`columns` must be a list of names. Received: columns={columns!r}"
        )
    feature = history_feature(schema, items)
    table = schema.tables[feature.table_name]
    raw_format = raw_format or RawFormat()
    item = ColumnPlan(_ITEM, item_column or feature.name, feature.dtype, required=True)
    lists = [ColumnPlan(name, name, "string", True, "|") for name in columns]
    bad_rows = BadRows(max_bad_rows)
    found: dict[tuple[int, str], set[Any]] = {}  # the items of each attribute
    with ProcessPool(1) as pool:
        task = ChunkTask((), raw_format.max_line_bytes, [_Columns((item, *lists))])
        listed = raw_files(files, raw_format)
        for answers in Pass(listed, raw_format, pool, task, bad_rows):
            for known, *values in answers:
                for number, of_column in enumerate(values):
                    for name, own in zip(known, of_column, strict=True):
                        for value in own:
                            found.setdefault((number, value), set()).add(name)
    bad_rows.close()
    names = list(set().union(*found.values()))
    rows_of = dict(
        zip(
            names,
            SchemaPreprocessor(schema)
            .lookups[feature.table_name](
                tf.constant(names, "int64" if feature.dtype == "int64" else "string")
            )
            .numpy()
            .tolist(),
            strict=True,
        )
    )
    by_row: list[list[int]] = [[] for _ in range(table.num_rows)]
    number = 0
    for attribute in sorted(found):
        rows = {rows_of[name] for name in found[attribute]}
        rows = {row for row in rows if row > table.num_oov}
        number += bool(rows)
        for row in rows:
            by_row[row].append(number)
    if not number:
        raise ValueError(
            f"`files` must have an attribute of an item of feature '{feature.name}'. "
            f"Received: {len(names)} items in column '{item.source}' with values in "
            f"{list(columns)}, none of which the schema knows"
        )
    width = max(map(len, by_row))
    return np.array([[*own, *[0] * (width - len(own))] for own in by_row], "int32")


class _Columns:
    """A `Step` that gives columns as lists."""

    def __init__(self, plans: tuple[ColumnPlan, ...]):
        self.plans = plans

    def start(self) -> None:
        """Nothing is kept."""

    def add(self, chunk: ParsedChunk, splits: np.ndarray | None) -> list[list]:
        """The columns of a chunk."""
        return [
            [_text(value) for value in chunk.columns[plan.name].to_pylist()]
            for plan in self.plans
        ]

    def finish(self) -> None:
        """Nothing is kept."""


def _text(value: Any) -> Any:
    """Text for bytes, in a list too."""
    if isinstance(value, list):
        return [_text(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value
