"""Fits a schema to raw training data."""

from __future__ import annotations

import os
from pathlib import Path

from keras_recs.preprocessing.fitting.fitter import STATISTICS, VOCABULARIES, Fitter
from keras_recs.preprocessing.reading.bad_rows import BadRows
from keras_recs.preprocessing.reading.chunk_task import ChunkTask, Pass
from keras_recs.preprocessing.reading.column_plan import column_plans
from keras_recs.preprocessing.reading.process_pool import ProcessPool
from keras_recs.preprocessing.reading.raw_files import Files, raw_files
from keras_recs.preprocessing.reading.raw_format import RawFormat
from keras_recs.preprocessing.reading.scratch_folder import scratch_folder
from keras_recs.schema import Schema


def fit(
    schema: Schema,
    files: Files,
    directory: str | os.PathLike,
    *,
    raw_format: RawFormat | None = None,
    max_bad_rows: int = 0,
    quarantine: str | os.PathLike | None = None,
    num_processes: int | None = None,
    progress: bool = False,
) -> Schema:
    """Reads the training data once and fits what the schema leaves open.

    Vocabularies hold the values seen at least `min_count` times (a missing value counts
    as the feature's `default`), most frequent first, equally frequent ones in the order
    of their UTF-8 bytes; a `default` is always in. Statistics of numbers are those of
    their float32 values. The result does not depend on the number of processes.

    Memory does not grow with the data: rows are streamed, counts that outgrow it go to
    files under `directory` while it works.

    A value is missing if it is the empty text, null or NaN; −1 is a missing integer id.
    Numbers of a string feature are taken as their decimal text. A row is bad if its
    number of columns is wrong, it holds a NUL byte (CSV and TSV), a value is not UTF-8,
    not a finite number or not an integer where it must be one, if a label, weight,
    group key or time is missing, a binary label not 0 or 1, a weight negative, if the
    weights of a feature's values are not as many as these, or if a value of a
    vocabulary holds a line break, which the file could not keep apart.

    How many bad rows are left out is logged as a warning. So is what a cut-off file may
    look like: no rows at all, or text whose last row does not end with a line break. A
    file that is cut off between two rows cannot be told from a whole one.

    Args:
        schema: `keras_recs.Schema`.
        files: path, glob or list of them: CSV, TSV, JSON lines (gzipped or not) or
            Parquet, of training rows only.
        directory: folder, made where it is not there. Gets
            `vocabularies/<table>.txt`, one value a line, and `statistics.json`.
        raw_format: `RawFormat`. Defaults to what the files' endings say.
        max_bad_rows: int. Bad rows that are left out before one stops the fit. Defaults
            to `0`.
        quarantine: path of a JSON-lines file that gets the bad rows and what is wrong
            with them. Defaults to `None`.
        num_processes: int. Worker processes; 1 works in this one. Defaults to the
            number of usable CPUs, at most 16.
        progress: bool. Show a progress bar. Defaults to `False`.

    Returns:
        The fitted copy of the schema; `schema.save("schema.json")` keeps it.

    Raises:
        ValueError: for a bad row (file, line, column and value are named), a column
            that is not there, a file that cannot be read, or no rows.

    Example:
        schema = keras_recs.preprocessing.fit(schema, "train.csv", "prepared/")
    """
    raw_format = raw_format or RawFormat()
    listed = raw_files(files, raw_format)
    directory = Path(directory)
    bad_rows = BadRows(max_bad_rows, quarantine)
    with (
        ProcessPool(num_processes) as pool,
        scratch_folder(directory, "fit") as scratch,
    ):
        fitter = Fitter(schema, scratch)
        task = ChunkTask(column_plans(schema), raw_format.max_line_bytes, [fitter.step])
        reading = Pass(
            listed, raw_format, pool, task, bad_rows, "fit" if progress else None
        )
        for (counts,) in reading:
            fitter.add(counts)
        bad_rows.close()
        finals = [final for (final,) in reading.finals]
        fitted = fitter.write(finals, scratch / "new", directory, pool)
        (directory / VOCABULARIES).mkdir(exist_ok=True)
        for name in fitted.vocabularies:
            file = f"{VOCABULARIES}/{name}.txt"
            os.replace(scratch / "new" / file, directory / file)
        os.replace(scratch / "new" / STATISTICS, directory / STATISTICS)
    return fitted
