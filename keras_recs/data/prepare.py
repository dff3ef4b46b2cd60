"""Raw logs to a folder that a model is trained from."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_recs.data.encode_step import EncodeStep
from keras_recs.data.last_per_user import LastScan, last_rows
from keras_recs.data.output_folder import output_folder
from keras_recs.data.prepare_manifest import (
    FORMAT,
    MANIFEST,
    damaged_files,
    differences,
    file_entry,
    input_fingerprint,
    read_manifest,
    versions,
)
from keras_recs.data.row_splits import FileRows, HashRows, RandomRows, TimeRows
from keras_recs.data.shard_writer import ShardWriter, check_shards
from keras_recs.data.split import SPLITS, Split
from keras_recs.data.time_cut_offs import TimeScan, time_cut_offs
from keras_recs.preprocessing.fitting.fitter import Fitter, write_json
from keras_recs.preprocessing.reading.bad_rows import BadRows
from keras_recs.preprocessing.reading.chunk_task import ChunkTask, Pass, RowSplit, Step
from keras_recs.preprocessing.reading.column_plan import ColumnPlan, column_plans
from keras_recs.preprocessing.reading.process_pool import ProcessPool
from keras_recs.preprocessing.reading.raw_files import Files, RawFile, raw_files
from keras_recs.preprocessing.reading.raw_format import RawFormat
from keras_recs.schema import Schema

QUARANTINE = "quarantine.jsonl"
_MEMORY_BYTES = 32 << 20


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A prepared folder.

    Attributes:
        directory: `Path`.
        schema: the fitted `Schema`.
        manifest: dict, as in its `manifest.json`.
        unchanged: bool. It was there already, made of the same.
    """

    directory: Path
    schema: Schema
    manifest: dict[str, Any]
    unchanged: bool


def prepare(
    files: Files,
    schema: Schema,
    output: str | os.PathLike,
    *,
    split: Split | None = None,
    valid_files: Files | None = None,
    test_files: Files | None = None,
    num_shards: int = 8,
    compression: str | None = None,
    raw_format: RawFormat | None = None,
    max_bad_rows: int = 0,
    num_processes: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Prepared:
    """Splits raw files, fits the schema on the training rows alone, writes TFRecords.

    The folder `output` gets `schema.json` (fitted), `vocabularies/`, `statistics.json`,
    `train-*.tfrecord` (and `valid-*`, `test-*`), `manifest.json`, and
    `quarantine.jsonl` where there are bad rows. It appears whole or not at all. The
    same call again does nothing. What it holds does not depend on the number of
    processes, nor the memory on the size of the input.

    The files are read once; twice where the split depends on all rows (`"time"` by
    fractions, `"last_per_user"`).

    Args:
        files: path, glob or list of them: CSV, TSV, JSON lines (gzipped or not) or
            Parquet.
        schema: `keras_recs.Schema`; what was fitted to it before does not count.
        output: folder, made by this function.
        split: `Split`. Defaults to all rows for training.
        valid_files, test_files: as `files`, where the splits are files of their own
            already. Default to `None`.
        num_shards: int. Files a split. Defaults to `8`.
        compression: `None` or `"GZIP"`. Defaults to `None`.
        raw_format: `RawFormat`. Defaults to what the files' endings say.
        max_bad_rows: int. Bad rows that are set aside in `quarantine.jsonl` before one
            stops it. Defaults to `0`.
        num_processes: int. Worker processes; 1 works in this one. Defaults to the
            number of usable CPUs, at most 16.
        overwrite: bool. Replace a folder that was prepared from something else, in one
            step at the end. Defaults to `False`: it is an error.
        progress: bool. Show progress bars. Defaults to `False`.

    Returns:
        `Prepared`.

    Raises:
        ValueError: for a bad row (file, line, column and value are named), a column
            that is not there, a file that cannot be read or that changes meanwhile, or
            an `output` that is there.

    Example:
        prepared = keras_recs.data.prepare(
            "logs/*.csv.gz", schema, "prepared", split=Split(kind="time")
        )
    """
    split = split or Split()
    raw_format = raw_format or RawFormat()
    check_shards(num_shards, compression)
    listed, of_split = _inputs(files, valid_files, test_files, split, raw_format)
    plans = column_plans(schema)
    output = Path(os.path.realpath(output))
    inputs = [
        {**input_fingerprint(file), "split": SPLITS[number]}
        for file, number in zip(listed, of_split, strict=True)
    ]
    unfitted = dataclasses.replace(schema, vocabularies={}, numerics={})
    options = {
        "schema": unfitted.fingerprint(),
        "split": dataclasses.asdict(split),
        "files": of_split,
        "format": dataclasses.asdict(raw_format),
        "num_shards": num_shards,
        "compression": compression,
        "max_bad_rows": max_bad_rows,
    }
    there = _existing(output, inputs, options, overwrite)
    if there is not None:
        return there

    with ProcessPool(num_processes) as pool, output_folder(output) as (new, work):
        bad_rows = BadRows(max_bad_rows, new / QUARANTINE)
        reader = _Reader(listed, raw_format, pool, plans, bad_rows, progress)
        row_split: RowSplit | None
        if valid_files is not None or test_files is not None:
            row_split = FileRows(of_split)
            names = tuple(SPLITS[number] for number in sorted(set(of_split)))
        else:
            row_split, names = _row_split(split, schema, reader, work), split.names
        fitter = Fitter(unfitted, work)
        columns = [plan.name for plan in plans]
        steps: list[Step] = [fitter.step, EncodeStep(columns, num_shards, compression)]
        with ShardWriter(
            new, {name: name for name in names}, num_shards, compression
        ) as writer:
            for counts, pieces in reader.read("fit and write", steps, row_split):
                fitter.add(counts)
                writer.write(pieces)
            writer.sync()
        bad_rows.close()
        finals = [final for final, _ in reader.finals]
        fitter.write(finals, new, new, pool).save(new / "schema.json")
        for file, before in zip(listed, inputs, strict=True):
            if input_fingerprint(file) != {
                k: before[k] for k in before if k != "split"
            }:
                raise ValueError(
                    f"'{file.path}' has changed while it was read. Run again when it "
                    "is complete."
                )
        shards = {s.name: s for part in writer.shards.values() for s in part}
        manifest = {
            "format": FORMAT,
            "rows": {n: sum(s.rows for s in writer.shards[n]) for n in writer.shards},
            "bad_rows": bad_rows.count,
            "files": {
                **{s.name: {"rows": s.rows, "bytes": s.bytes} for s in shards.values()},
                **_other_files(new, shards),
            },
            "inputs": inputs,
            "options": options,
            "versions": versions(),
        }
        write_json(new / MANIFEST, manifest)
    return Prepared(output, Schema.load(output), manifest, unchanged=False)


def _inputs(
    files: Files,
    valid_files: Files | None,
    test_files: Files | None,
    split: Split,
    raw_format: RawFormat,
) -> tuple[list[RawFile], list[int]]:
    """All files, and by file the number of its split."""
    listed = raw_files(files, raw_format)
    of_split = [0] * len(listed)
    for number, more in enumerate((valid_files, test_files), 1):
        if more is not None:
            if split.kind != "none":
                raise ValueError(
                    "`valid_files` and `test_files` are splits already; leave out "
                    f"`split`. Received: split={split}"
                )
            found = raw_files(more, raw_format)
            listed += found
            of_split += [number] * len(found)
    doubled = {f.path for f in listed if sum(f.path == g.path for g in listed) > 1}
    if doubled:
        raise ValueError(
            f"A file must belong to one split. Received twice: {sorted(doubled)}"
        )
    return listed, of_split


def _existing(
    output: Path,
    inputs: Sequence[dict[str, Any]],
    options: dict[str, Any],
    overwrite: bool,
) -> Prepared | None:
    """The folder that is there, if it is what is asked for; checks that it may go."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return None
    manifest = read_manifest(output) if output.is_dir() else None
    if manifest is None:
        raise ValueError(
            "`output` must be a new folder, or one that was prepared before. Received: "
            f"'{output}', which is there but has no {MANIFEST}. Move it away."
        )
    found = differences(manifest, inputs, options)
    found += [f"'{name}' is damaged" for name in damaged_files(output, manifest)]
    if not found:
        return Prepared(output, Schema.load(output), manifest, unchanged=True)
    if not overwrite:
        raise ValueError(
            f"`output` '{output}' was prepared from something else: "
            f"{'; '.join(found)}. Give another `output`, or overwrite=True "
            "(--overwrite) to replace it."
        )
    return None


class _Reader:
    """Reads all rows, once or twice; the first time sees to the bad ones."""

    def __init__(
        self,
        files: Sequence[RawFile],
        raw_format: RawFormat,
        pool: ProcessPool,
        plans: tuple[ColumnPlan, ...],
        bad_rows: BadRows,
        progress: bool,
    ):
        self.files = files
        self.raw_format = raw_format
        self.pool = pool
        self.plans = plans
        self.bad_rows = bad_rows
        self.progress = progress
        self.rows: int | None = None
        self.num_chunks = 0
        self.finals: list[list[Any]] = []

    def read(
        self, title: str, steps: Sequence[Step], row_split: RowSplit | None = None
    ) -> Iterator[list[Any]]:
        """Yields the steps' answers; their last words are then in `finals`."""
        task = ChunkTask(self.plans, self.raw_format.max_line_bytes, steps, row_split)
        reading = Pass(
            self.files,
            self.raw_format,
            self.pool,
            task,
            self.bad_rows if self.rows is None else None,
            title if self.progress else None,
        )
        self.num_chunks = 0
        for answers in reading:
            self.num_chunks += 1
            yield answers
        if self.rows not in (None, reading.rows):
            raise ValueError(
                f"The input had {self.rows} rows at first and {reading.rows} when it "
                "was read again. Run again when it is complete."
            )
        self.rows = reading.rows
        self.finals = reading.finals


def _row_split(
    split: Split, schema: Schema, reader: _Reader, work: Path
) -> RowSplit | None:
    """What decides about a row; reads all rows where that takes them all."""
    if split.kind == "none":
        return None
    if split.kind == "random":
        return RandomRows(split.fractions, split.seed)
    if split.kind == "hash":
        return HashRows(split.key_column(schema), split.fractions, split.seed)
    time = split.time_column(schema)
    if split.kind == "last_per_user":
        scan = LastScan(split.key_column(schema), time, work, _MEMORY_BYTES)
        for _ in reader.read("find last rows", [scan]):
            pass
        pieces = [piece for (final,) in reader.finals for piece in final]
        return last_rows(pieces, reader.num_chunks, work, _MEMORY_BYTES)
    cut_offs = split.cut_offs
    if cut_offs is None:
        times = work / "times"
        with open(times, "wb") as file:
            for (block,) in reader.read("find cut-offs", [TimeScan(time)]):
                file.write(block)
        cut_offs = time_cut_offs(times, split.fractions)
        times.unlink()
    return TimeRows(time, cut_offs)


def _other_files(folder: Path, shards: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is no TFRecord file, by name."""
    entries = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in shards:
            entries[name] = file_entry(path)
    return entries
