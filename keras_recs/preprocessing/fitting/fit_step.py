"""Counting of the training rows of a chunk, in a worker."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_recs.preprocessing.fitting.numeric_summary import NumericSummary
from keras_recs.preprocessing.fitting.spilled_groups import Piece
from keras_recs.preprocessing.fitting.value_counter import (
    ValueCounter,
    counted_tables,
    number_missing,
)
from keras_recs.preprocessing.reading.chunk_task import TRAIN
from keras_recs.preprocessing.reading.column_plan import ColumnPlan
from keras_recs.preprocessing.reading.parse_chunk import ParsedChunk
from keras_recs.schema import CrossedFeature, NumericFeature, Schema


@dataclasses.dataclass
class ChunkCounts:
    """What a chunk's training rows hold, vocabularies apart.

    Attributes:
        rows: int.
        missing: by feature: rows without a value.
        values: by feature: values, list items each counted.
        out_of_range: by identity feature: ids that are no row of the table.
        numbers: by numeric feature and label: `NumericSummary`.
    """

    rows: int = 0
    missing: dict[str, int] = dataclasses.field(default_factory=dict)
    values: dict[str, int] = dataclasses.field(default_factory=dict)
    out_of_range: dict[str, int] = dataclasses.field(default_factory=dict)
    numbers: dict[str, NumericSummary] = dataclasses.field(default_factory=dict)

    def merge(self, other: ChunkCounts) -> None:
        """Adds the counts of a later chunk."""
        self.rows += other.rows
        for name in ("missing", "values", "out_of_range"):
            own = getattr(self, name)
            for key, count in getattr(other, name).items():
                own[key] = own.get(key, 0) + count
        for key, summary in other.numbers.items():
            if key in self.numbers:
                self.numbers[key].merge(summary)
            else:
                self.numbers[key] = summary


class FitStep:
    """A `Step` that counts; vocabularies in files, the rest chunk by chunk.

    Args:
        schema: `Schema`.
        folder: `Path` for the files.
        memory_bytes: int. Of the counts of a worker.
    """

    plans: tuple[ColumnPlan, ...] = ()

    def __init__(self, schema: Schema, folder: Path, memory_bytes: int):
        self.schema = schema
        self.folder = folder
        self.memory_bytes = memory_bytes
        self._counter: ValueCounter | None = None

    def start(self) -> None:
        """Makes the counter."""
        tables = counted_tables(self.schema)
        self._counter = ValueCounter(tables, self.folder, self.memory_bytes)

    def add(self, chunk: ParsedChunk, splits: np.ndarray | None) -> ChunkCounts:
        """Counts the training rows."""
        columns, rows = chunk.columns, len(chunk)
        if splits is not None:
            train = splits == TRAIN
            rows = int(train.sum())
            if rows < len(chunk):
                mask = pa.array(train)
                columns = {
                    name: column.filter(mask) for name, column in columns.items()
                }
        self._counter.add(columns)  # type: ignore[union-attr]
        counts = ChunkCounts(rows)
        for feature in self.schema.features:
            if isinstance(feature, CrossedFeature):
                continue
            column = columns[feature.name]
            if isinstance(feature, NumericFeature):
                counts.numbers[feature.name] = _summary(feature, column)
                continue
            counts.missing[feature.name] = number_missing(column)
            items = column.flatten() if pa.types.is_list(column.type) else column
            counts.values[feature.name] = len(items) - items.null_count
            if feature.kind == "identity":
                outside = pc.or_(
                    pc.less(items, 0), pc.greater_equal(items, feature.vocabulary_size)
                )
                counts.out_of_range[feature.name] = pc.sum(outside).as_py() or 0
        for label in self.schema.labels:
            column = columns[label.name]
            counts.numbers[label.name] = _summary(NumericFeature(label.name), column)
        return counts

    def finish(self) -> dict[str, list[Piece]]:
        """Files of the counted vocabularies, by table."""
        return self._counter.finish()  # type: ignore[union-attr]


def _summary(feature: NumericFeature, column: pa.Array) -> NumericSummary:
    summary = NumericSummary(feature)
    summary.add(column)
    return summary
