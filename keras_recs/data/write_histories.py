"""Logs of events to one history a user, divided into training and what comes next."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_recs.data.output_folder import output_folder
from keras_recs.data.row_splits import key_plan, keys_of, time_plan, times_of
from keras_recs.data.sliding_windows import sliding_windows
from keras_recs.data.split import SPLITS, Split
from keras_recs.data.time_cut_offs import TimeScan, time_cut_offs
from keras_recs.preprocessing.fitting.spilled_groups import (
    GroupBuffer,
    Piece,
    read_groups,
    write_pieces,
)
from keras_recs.preprocessing.reading.bad_rows import BadRows
from keras_recs.preprocessing.reading.chunk_task import ChunkTask, Pass, Step
from keras_recs.preprocessing.reading.column_plan import ColumnPlan
from keras_recs.preprocessing.reading.parse_chunk import ParsedChunk
from keras_recs.preprocessing.reading.process_pool import ProcessPool
from keras_recs.preprocessing.reading.raw_files import Files, raw_files
from keras_recs.preprocessing.reading.raw_format import RawFormat
from keras_recs.schema import Schema, SequenceFeature

_KEY, _TIME, _ROW = "key", "time", "row"
_VALUE = "\0{}"  # by the feature's number; a NUL cannot be part of a schema's name
_ROW_BITS = 31  # a chunk's number above, the row's in the chunk below
_MEMORY_BYTES = 256 << 20


def write_histories(
    files: Files,
    schema: Schema,
    output: str | os.PathLike,
    *,
    split: Split | None = None,
    stride: int | None = None,
    raw_format: RawFormat | None = None,
    max_bad_rows: int = 0,
    num_processes: int | None = None,
    progress: bool = False,
) -> dict[str, int]:
    """Joins the events of each user to a history; `prepare` makes TFRecords of them.

    The folder `output` gets `train.jsonl`, `valid.jsonl` and `test.jsonl`, a history a
    line, and `schema.json`, to be fitted: what `prepare` takes as `files`,
    `valid_files` and `test_files`. It appears whole or not at all.

    Events are in the order of their time. Those of the same time keep the order of the
    files, in which files are in the order of their names and rows in that of their
    lines; without a `timestamp` that order is all there is.

    In `valid.jsonl` and `test.jsonl` the last event of a line is what is to be
    predicted, from all events of the user before it. Nothing of a training history is
    later:

    - `Split(kind="last_per_user")`: of each user the last event tests, the one before
      validates and all others train. A user of fewer than three events trains only.
      Events of one user may be later than what is predicted for another.
    - `Split(kind="time")`: all events before the first cut-off train. Of each user the
      last event before the second one validates and the last of all tests, if they are
      not before the part's own cut-off and have an event before them.
    - `Split(kind="none")`: all events train.

    The vocabulary is fitted to the training lines alone: an item that only others have
    is unknown to the model, as an input and as what is to be predicted.

    Args:
        files: path, glob or list of them, as in `prepare`: an event a row.
        schema: `keras_recs.Schema` with a sequence feature, whose column has the item
            of an event, the `group_key`, which is the user or the session, and if there
            are times the `timestamp`. Behind it further sequence features may tell more
            of events, such as their category, for `ItemEvents(features=…)`; an event
            without one is a bad row.
        output: a new folder.
        split: `Split`. Defaults to `None`: `Split(kind="last_per_user")`.
        stride: int. A training history of more than `max_length + 1` events becomes
            windows of so many, each that many events before the next: with
            `max_length` each pair of an event and the next is in one. The event in
            which two windows meet is then counted twice where `min_count` is.
            Defaults to `None`: histories stay whole, and training takes their end.
        raw_format, max_bad_rows, num_processes, progress: as in `prepare`. Bad rows are
            counted and left out.

    Returns:
        dict of split to the number of histories.

    Raises:
        ValueError: for a schema that is not as said, another kind of split, a stride
            that would lose events, a bad row, files without an event, and a folder that
            is there.

    Example:
        feature = keras_recs.SequenceFeature("movie", max_length=200, padding="left")
        schema = keras_recs.Schema([feature], group_key="user", timestamp="time")
        keras_recs.data.write_histories("ratings.csv", schema, "histories")
    """
    split = split or Split(kind="last_per_user")
    features = _checked(schema, split, stride)
    length = features[0].max_length
    output = Path(os.path.realpath(output))
    if output.exists() and (output.is_file() or any(output.iterdir())):
        raise ValueError(
            f"`output` must be a new folder. Received: '{output}', which is there. "
            "Remove it, or give another one."
        )
    raw_format = raw_format or RawFormat()
    listed = raw_files(files, raw_format)
    bad_rows = BadRows(max_bad_rows)
    counts = dict.fromkeys(SPLITS, 0)
    with ProcessPool(num_processes) as pool, output_folder(output) as (new, work):
        scan = _EventScan(schema, features, work)
        steps: list[Step] = [scan]
        if split.kind == "time":
            steps.append(TimeScan(split.time_column(schema)))
        task = ChunkTask((), raw_format.max_line_bytes, steps)
        title = "read events" if progress else None
        reading = Pass(listed, raw_format, pool, task, bad_rows, title)
        with open(work / "times", "wb") as times:
            for _, *block in reading:
                times.writelines(block)
        bad_rows.close()
        pieces = [piece for final, *_ in reading.finals for piece in final]
        if not pieces:
            raise ValueError(
                "`files` must hold an event at least: there is none, or all are bad "
                f"rows. Received: files={files!r}"
            )
        cut_offs = None
        if split.kind == "time":
            cut_offs = split.cut_offs or time_cut_offs(work / "times", split.fractions)
        with contextlib.ExitStack() as stack:
            opened = [
                stack.enter_context(open(new / f"{name}.jsonl", "w", encoding="utf-8"))
                for name in SPLITS
            ]
            writers = dict(zip(SPLITS, opened, strict=True))
            for user, when, values in _users(pieces, work, len(features)):
                parts = _parts(split.kind, cut_offs, when, length, stride)
                for name, histories in parts.items():
                    for start, stop in histories:
                        line: dict[str, Any] = {
                            feature.name: own[start:stop]
                            for feature, own in zip(features, values, strict=True)
                        }
                        line[str(schema.group_key)] = user
                        writers[name].write(json.dumps(line, ensure_ascii=False) + "\n")
                    counts[name] += len(histories)
        for name, count in counts.items():
            if not count:
                (new / f"{name}.jsonl").unlink()
        dataclasses.replace(schema, timestamp=None, vocabularies={}, numerics={}).save(
            new / "schema.json"
        )
    return counts


def _checked(schema: Schema, split: Split, stride: int | None) -> list[SequenceFeature]:
    """The feature of the items, and what else is known of events."""
    features = [f for f in schema.features if isinstance(f, SequenceFeature)]
    kinds = {(f.max_length, f.padding) for f in features}
    if (
        len(features) < len(schema.features)
        or len(kinds) != 1
        or features[0].padding != "left"
        or schema.labels
        or not schema.group_key
    ):
        raise ValueError(
            "`schema` must have a `group_key`, a SequenceFeature with "
            "`padding='left'`, further ones of its length and padding at most, and no "
            "label. "
            f"Received: group_key={schema.group_key!r}, features="
            f"{list(schema.features)}, labels={list(schema.label_names)}"
        )
    feature = features[0]
    if split.kind not in ("none", "last_per_user", "time"):
        raise ValueError(
            "`split` must be of the kind 'last_per_user', 'time' or 'none'. Received: "
            f"kind={split.kind!r}"
        )
    if stride is not None and not 1 <= stride <= feature.max_length:
        raise ValueError(
            "`stride` must be from 1 to `max_length`, so that nothing is lost. "
            f"Received: stride={stride}, max_length={feature.max_length}"
        )
    return features


def _in_order(table: pa.Table) -> pa.Table:
    order = [(name, "ascending") for name in (_KEY, _TIME, _ROW)]
    return table.take(pc.sort_indices(table, order)).combine_chunks()


class _EventScan:
    """A `Step` that keeps all events, by user."""

    def __init__(
        self, schema: Schema, features: Sequence[SequenceFeature], folder: Path
    ):
        self.plans: tuple[ColumnPlan, ...] = tuple(
            ColumnPlan(
                _VALUE.format(number),
                feature.name,
                feature.dtype,
                required=True,
                rule="vocabulary" if feature.kind == "vocabulary" else None,
            )
            for number, feature in enumerate(features)
        )
        self.names = [plan.name for plan in self.plans]
        self.plans += (key_plan(str(schema.group_key)),)
        self.has_time = schema.timestamp is not None
        if schema.timestamp is not None:
            self.plans += (time_plan(schema.timestamp),)
        self.folder = folder
        self._buffer: GroupBuffer | None = None
        self._pieces: list[Piece] = []

    def start(self) -> None:
        """Makes the buffer."""
        self._buffer, self._pieces = GroupBuffer(_in_order), []

    def add(self, chunk: ParsedChunk, splits: np.ndarray | None) -> None:
        """Takes the rows of a chunk."""
        rows = (chunk.index << _ROW_BITS) + np.arange(len(chunk), dtype=np.int64)
        times = times_of(chunk) if self.has_time else np.zeros(len(chunk))
        columns = {_KEY: keys_of(chunk), _TIME: times, _ROW: rows}
        columns |= {name: chunk.columns[name] for name in self.names}
        buffer = self._buffer
        buffer.add(pa.table(columns))  # type: ignore[union-attr]
        if buffer.nbytes > _MEMORY_BYTES:  # type: ignore[union-attr]
            self._spill()

    def finish(self) -> list[Piece]:
        """Files of the events."""
        self._spill()
        return self._pieces

    def _spill(self) -> None:
        table = self._buffer.take()  # type: ignore[union-attr]
        if table is not None:
            self._pieces += write_pieces({"": table}, _KEY, self.folder)[""]


def _users(
    pieces: Sequence[Piece], folder: Path, num_features: int
) -> Iterator[tuple[str, np.ndarray, list[list]]]:
    """Each user with times and values of each feature, oldest first."""
    for table in read_groups(pieces, _KEY, _in_order, folder, _MEMORY_BYTES):
        keys = table[_KEY].combine_chunks()
        changes = np.ones(len(table) + 1, bool)
        if len(table) > 1:
            changes[1:-1] = pc.not_equal(keys[1:], keys[:-1]).to_numpy(False)
        bounds = np.flatnonzero(changes)
        times = table[_TIME].to_numpy()
        columns = [table[_VALUE.format(number)] for number in range(num_features)]
        for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist()):
            values = [
                [
                    value.decode() if isinstance(value, bytes) else value
                    for value in column[start:stop].to_pylist()
                ]
                for column in columns
            ]
            yield keys[start].as_py().decode(), times[start:stop], values


def _parts(kind, cut_offs, times, max_length, stride) -> dict[str, list]:
    """By split: where its histories begin and end in a user's events."""
    count = len(times)
    if kind == "none":
        ends = (count, 0, 0)
    elif kind == "last_per_user":
        ends = (count - 2, count - 1, count) if count > 2 else (count, 0, 0)
    else:
        first, second = np.searchsorted(times, cut_offs)
        ends = (first, second if second > first else 0, count if count > second else 0)
    train, *others = (int(end) for end in ends)
    parts = {name: [(0, end)] for name, end in zip(SPLITS[1:], others) if end > 1}
    if train:
        parts[SPLITS[0]] = [(0, train)]
        if stride is not None:
            _, starts, stops = sliding_windows([0], [train], max_length + 1, stride)
            parts[SPLITS[0]] = list(zip(starts.tolist(), stops.tolist()))
    return parts
