"""What a worker does with a chunk of raw rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from keras_recs.preprocessing.reading.bad_rows import BadRow, BadRows
from keras_recs.preprocessing.reading.column_plan import ColumnPlan
from keras_recs.preprocessing.reading.parse_chunk import ParsedChunk, parse_chunk
from keras_recs.preprocessing.reading.process_pool import ProcessPool
from keras_recs.preprocessing.reading.raw_files import RawFile
from keras_recs.preprocessing.reading.raw_format import RawFormat
from keras_recs.preprocessing.reading.read_chunks import Chunk, read_chunks

TRAIN = 0


class RowSplit(Protocol):
    """Decides which split a row belongs to; the same in every pass over the data."""

    plans: tuple[ColumnPlan, ...]

    def __call__(self, chunk: ParsedChunk) -> np.ndarray:
        """`uint8` array `(rows,)`: 0 train, 1 valid, 2 test."""


class Step(Protocol):
    """One thing that is done with the rows of a chunk; picklable."""

    plans: tuple[ColumnPlan, ...]

    def start(self) -> None:
        """Called once in each worker."""

    def add(self, chunk: ParsedChunk, splits: np.ndarray | None) -> Any:
        """Takes a chunk; `splits` is `None` where all rows are training rows."""

    def finish(self) -> Any:
        """Called once in each worker, after its last chunk."""


@dataclasses.dataclass
class ChunkResult:
    """What became of a chunk.

    Attributes:
        position: int. Bytes of the input up to its end.
        rows: good rows.
        bad: list of `BadRow`.
        answers: what each step returned.
    """

    position: int
    rows: int
    bad: list[BadRow]
    answers: list[Any]


@dataclasses.dataclass
class ChunkTask:
    """Parses chunks and gives their rows to steps.

    Attributes:
        plans: the columns.
        max_line_bytes: as in `RawFormat`.
        steps: list of `Step`.
        row_split: `RowSplit`, or `None`: all rows are training rows.
    """

    plans: tuple[ColumnPlan, ...]
    max_line_bytes: int
    steps: Sequence[Step]
    row_split: RowSplit | None = None

    def start(self) -> None:
        """Prepares the steps, in the worker."""
        for step in self.steps:
            step.start()

    @property
    def all_plans(self) -> tuple[ColumnPlan, ...]:
        """The columns, and those that the split and the steps read for themselves."""
        plans = self.plans
        for user in (self.row_split, *self.steps):
            plans += () if user is None else user.plans
        return plans

    def __call__(self, chunk: Chunk) -> ChunkResult:
        """Parses a chunk and hands it on."""
        parsed = parse_chunk(chunk, self.all_plans, self.max_line_bytes)
        splits = None if self.row_split is None else self.row_split(parsed)
        answers = [step.add(parsed, splits) for step in self.steps]
        return ChunkResult(chunk.position, len(parsed), parsed.bad, answers)

    def finish(self) -> list[Any]:
        """What the steps give in the end."""
        return [step.finish() for step in self.steps]


class Pass:
    """One reading of all raw files.

    Args:
        files: list of `RawFile`.
        raw_format: `RawFormat`.
        pool: `ProcessPool`.
        task: `ChunkTask`.
        bad_rows: `BadRows`, or `None` where an earlier pass has seen to them.
        progress: string. Title of a progress bar, or `None`: none.

    Attributes:
        rows: int. Good rows so far.
        finals: after the last chunk: by worker, what its steps' `finish` gave.
    """

    def __init__(
        self,
        files: Sequence[RawFile],
        raw_format: RawFormat,
        pool: ProcessPool,
        task: ChunkTask,
        bad_rows: BadRows | None,
        progress: str | None = None,
    ):
        self.files = files
        self.raw_format = raw_format
        self.pool = pool
        self.task = task
        self.bad_rows = bad_rows
        self.progress = progress
        self.rows = 0
        self.finals: list[list[Any]] = []

    def __iter__(self) -> Iterator[list[Any]]:
        """Yields the steps' answers, chunk by chunk in the order of the data."""
        from tqdm import tqdm

        columns = list(dict.fromkeys(plan.source for plan in self.task.all_plans))
        chunks = read_chunks(self.files, self.raw_format, columns)
        with tqdm(
            desc=self.progress,
            total=sum(file.size for file in self.files),
            unit="B",
            unit_scale=True,
            disable=self.progress is None,
        ) as bar:
            for result in self.pool.run(self.task, chunks, self.finals):
                if self.bad_rows is not None:
                    self.bad_rows.add(result.bad)
                self.rows += result.rows
                yield result.answers
                bar.update(max(result.position - bar.n, 0))
                rate = self.rows / max(bar.format_dict["elapsed"], 1e-3)
                bar.set_postfix_str(f"{self.rows:,} rows, {rate:,.0f} rows/s", False)
