r"""Prepares raw logs: splits, fitted schema, vocabularies, statistics, TFRecords.

Examples:
  python -m pipelines.prepare --input='logs/*.csv.gz' --schema=schema.json \
      --output=prepared --split=time --fractions=0.8,0.1,0.1
  python -m pipelines.prepare --input=day_0.tsv --input=day_1.tsv --format=tsv \
      --columns=label,hour,user --schema=schema.json --output=prepared \
      --split=hash --split_key=user --seed=7
  python -m pipelines.prepare --input=train.csv --valid_input=valid.csv \
      --test_input=test.csv --schema=schema.json --output=prepared
  python -m pipelines.prepare --input='events/*.parquet' --schema=schema.json \
      --output=prepared --split=last_per_user --max_bad_rows=100 --compression=GZIP

The schema is the unfitted one, as `schema.save("schema.json")` writes it. The output
folder appears whole or not at all; the same command again does nothing. It holds
schema.json, vocabularies/, statistics.json, train-*.tfrecord (valid-*, test-*),
manifest.json with the row counts, and quarantine.jsonl with the bad rows.
"""

import os
import signal
import sys

from absl import flags

if __name__ == "__main__":
    os.environ["KERAS_RECS_WITHOUT_KERAS"] = "1"  # none is needed: it starts at once

from keras_recs.data.prepare import QUARANTINE, Prepared, prepare
from keras_recs.data.split import KINDS, Split
from keras_recs.preprocessing.reading import raw_format
from keras_recs.schema import Schema
from pipelines.run_program import run_program

INPUT = flags.DEFINE_multi_string(
    "input", None, "CSV, TSV, JSON-lines or Parquet file, or a pattern. Repeatable."
)
VALID_INPUT = flags.DEFINE_multi_string("valid_input", None, "Rows that validate.")
TEST_INPUT = flags.DEFINE_multi_string("test_input", None, "Rows that test.")
SCHEMA = flags.DEFINE_string("schema", None, "schema.json, still to be fitted.")
OUTPUT = flags.DEFINE_string("output", None, "Folder to make.")
SPLIT = flags.DEFINE_enum("split", "none", KINDS, "How rows are divided.")
FRACTIONS = flags.DEFINE_list(
    "fractions", ["0.8", "0.1", "0.1"], "Shares of train, valid and test."
)
CUT_OFFS = flags.DEFINE_list(
    "cut_offs", None, "First times of valid and of test, instead of --fractions."
)
SPLIT_KEY = flags.DEFINE_string(
    "split_key", None, "Column for hash and last_per_user; else the group key."
)
SEED = flags.DEFINE_integer("seed", 0, "Seed of the hash and the random split.")
FORMAT = flags.DEFINE_enum(
    "format", "auto", raw_format.KINDS, "Format of the files; auto: by their endings."
)
DELIMITER = flags.DEFINE_string("delimiter", None, "Delimiter; else a comma or a tab.")
COLUMNS = flags.DEFINE_list("columns", None, "Column names of files without a header.")
NUM_SHARDS = flags.DEFINE_integer("num_shards", 8, "TFRecord files a split.", 1)
COMPRESSION = flags.DEFINE_enum("compression", None, ["GZIP"], "Else none.")
NUM_PROCESSES = flags.DEFINE_integer(
    "num_processes", None, "Worker processes; else one a CPU.", 1
)
MAX_BAD_ROWS = flags.DEFINE_integer(
    "max_bad_rows", 0, f"Bad rows that go to {QUARANTINE} before one stops the run.", 0
)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace what is there.")
PROGRESS = flags.DEFINE_bool("progress", True, "Show progress bars.")
flags.mark_flags_as_required(["input", "schema", "output"])


def report(prepared: Prepared) -> None:
    """Prints what there is now."""
    manifest = prepared.manifest
    if prepared.unchanged:
        print(f"unchanged: {prepared.directory} was made of the same input")
    for split, rows in manifest["rows"].items():
        print(f"{split}: {rows:,} rows")
    if manifest["bad_rows"]:
        path = prepared.directory / QUARANTINE
        print(f"bad rows: {manifest['bad_rows']:,}, in {path}")
    print(f"output: {prepared.directory}")


def main(_) -> None:
    """Runs the program."""
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # removes what is unfinished
    prepared = prepare(
        INPUT.value,
        Schema.load(SCHEMA.value),
        OUTPUT.value,
        split=Split(
            kind=SPLIT.value,
            fractions=FRACTIONS.value,
            cut_offs=CUT_OFFS.value,
            key=SPLIT_KEY.value,
            seed=SEED.value,
        ),
        valid_files=VALID_INPUT.value,
        test_files=TEST_INPUT.value,
        num_shards=NUM_SHARDS.value,
        compression=COMPRESSION.value,
        raw_format=raw_format.RawFormat(
            kind=FORMAT.value,
            delimiter={r"\t": "\t"}.get(DELIMITER.value, DELIMITER.value),
            columns=COLUMNS.value,
        ),
        max_bad_rows=MAX_BAD_ROWS.value,
        num_processes=NUM_PROCESSES.value,
        overwrite=OVERWRITE.value,
        progress=PROGRESS.value,
    )
    report(prepared)


if __name__ == "__main__":
    run_program(main)
