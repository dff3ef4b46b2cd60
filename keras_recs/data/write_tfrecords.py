"""Raw files to TFRecords."""

from __future__ import annotations

import os
from pathlib import Path

from keras_recs.data.encode_step import EncodeStep
from keras_recs.data.publish_shards import publish_shards
from keras_recs.data.shard_writer import ShardWriter, check_shards, existing_shards
from keras_recs.data.split import SPLITS
from keras_recs.preprocessing.reading.bad_rows import BadRows
from keras_recs.preprocessing.reading.chunk_task import ChunkTask, Pass
from keras_recs.preprocessing.reading.column_plan import column_plans
from keras_recs.preprocessing.reading.process_pool import ProcessPool
from keras_recs.preprocessing.reading.raw_files import Files, raw_files
from keras_recs.preprocessing.reading.raw_format import RawFormat
from keras_recs.preprocessing.reading.scratch_folder import scratch_folder
from keras_recs.schema import Schema


def write_tfrecords(
    files: Files,
    schema: Schema,
    prefix: str | os.PathLike,
    *,
    num_shards: int = 8,
    compression: str | None = None,
    raw_format: RawFormat | None = None,
    max_bad_rows: int = 0,
    quarantine: str | os.PathLike | None = None,
    num_processes: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> dict[str, int]:
    """Writes the rows of raw files as `tf.train.Example`, in sharded TFRecord files.

    An example holds the raw values of the schema's columns: strings, int64 or float32,
    lists of them for multi-valued and sequence features and for weights of values. A
    missing feature is left out. What is missing and what a bad row is: see
    `keras_recs.preprocessing.fit`.

    The files are named `<prefix>-00000-of-00008.tfrecord` (`.gz` if compressed) and
    appear when all are written. They are of equal length give or take a few rows, and
    do not depend on the number of processes. `manifest-<name>.json` beside them (name:
    the last part of the prefix) lists the records and bytes of each;
    `tfrecord_dataset` refuses files that differ from it. Files that are moved take it
    along; without it they are read unchecked.

    Args:
        files: path, glob or list of them: CSV, TSV, JSON lines (gzipped or not) or
            Parquet.
        schema: `keras_recs.Schema`; need not be fitted.
        prefix: path, what the files' paths begin with: `"prepared/train"`.
        num_shards: int. Number of files. Defaults to `8`.
        compression: `None` or `"GZIP"`. Defaults to `None`.
        raw_format, max_bad_rows, quarantine, num_processes, progress: as in
            `keras_recs.preprocessing.fit`.
        overwrite: bool. Replace files of the same prefix. Defaults to `False`: they are
            an error.

    Returns:
        dict of the files' paths and how many rows each holds.

    Raises:
        ValueError: for a bad row (file, line, column and value are named), a column
            that is not there, a file that cannot be read, or files that are there
            already.

    Example:
        keras_recs.data.write_tfrecords("train.csv", schema, "prepared/train")
    """
    check_shards(num_shards, compression)
    raw_format = raw_format or RawFormat()
    listed = raw_files(files, raw_format)
    folder, name = Path(prefix).parent, Path(prefix).name
    old = existing_shards(folder, name)
    if old and not overwrite:
        raise ValueError(
            f"`prefix` must be new. Received: prefix='{prefix}', but '{old[0]}' is "
            "there. Remove it, or give `overwrite=True`."
        )
    bad_rows = BadRows(max_bad_rows, quarantine)
    plans = column_plans(schema)
    split = SPLITS[0]
    with (
        ProcessPool(num_processes) as pool,
        scratch_folder(folder, name) as scratch,
        ShardWriter(scratch, {split: name}, num_shards, compression) as writer,
    ):
        step = EncodeStep([plan.name for plan in plans], num_shards, compression)
        task = ChunkTask(plans, raw_format.max_line_bytes, [step])
        title = "write" if progress else None
        for (pieces,) in Pass(listed, raw_format, pool, task, bad_rows, title):
            writer.write(pieces)
        bad_rows.close()
        writer.sync()
        shards = writer.shards[split]
        publish_shards(scratch, folder, name, shards, old, bad_rows.count)
    return {str(folder / shard.name): shard.rows for shard in shards}
