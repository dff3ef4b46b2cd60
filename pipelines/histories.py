r"""Joins logs of events to one history a user, for models of sequences.

Examples:
  python -m pipelines.histories --input='logs/*.csv.gz' --user=user_id \
      --item=item_id --time=timestamp --max_length=50 --output=histories
  python -m pipelines.histories --input=ml-1m.txt.gz --format=csv --delimiter=' ' \
      --columns=user,item --user=user --item=item --max_length=200 \
      --output=ml_1m/histories
  python -m pipelines.histories --input=clicks.parquet --user=session --item=item \
      --time=time --split=time --cut_offs=1714521600,1714608000 --stride=50 \
      --output=histories

Events of the same time keep the order of the files; without --time that is the order.
--split=last_per_user holds the last two events of each user out, --split=time all
events from two points in time on. With --stride=<max_length> long histories are cut
into windows, so that training reads all of them. The folder holds train.jsonl,
valid.jsonl, test.jsonl and schema.json, which pipelines.prepare makes TFRecords of:

  python -m pipelines.prepare --input=histories/train.jsonl \
      --valid_input=histories/valid.jsonl --test_input=histories/test.jsonl \
      --schema=histories/schema.json --output=prepared
"""

import os

from absl import flags

if __name__ == "__main__":
    os.environ["KERAS_RECS_WITHOUT_KERAS"] = "1"  # none is needed: it starts at once

from keras_recs.data.split import Split
from keras_recs.data.write_histories import write_histories
from keras_recs.preprocessing.reading import raw_format
from keras_recs.schema import Schema, SequenceFeature
from pipelines.run_program import run_program

INPUT = flags.DEFINE_multi_string(
    "input", None, "CSV, TSV, JSON-lines or Parquet file, or a pattern. Repeatable."
)
OUTPUT = flags.DEFINE_string("output", None, "Folder to make.")
FEATURES = flags.DEFINE_list(
    "features", [], "Columns that tell more of an event, such as its category."
)
USER = flags.DEFINE_string("user", None, "Column of the user, or of the session.")
ITEM = flags.DEFINE_string("item", None, "Column of the item; it names the feature.")
TIME = flags.DEFINE_string("time", None, "Column of the time; else the files' order.")
MAX_LENGTH = flags.DEFINE_integer("max_length", 50, "Events that a model reads.", 1)
MIN_COUNT = flags.DEFINE_integer(
    "min_count", 1, "Events in training below which an item is unknown.", 1
)
STRIDE = flags.DEFINE_integer(
    "stride", None, "Events between two windows over a long training history.", 1
)
SPLIT = flags.DEFINE_enum(
    "split", "last_per_user", ["last_per_user", "time", "none"], "What is held out."
)
FRACTIONS = flags.DEFINE_list(
    "fractions", ["0.8", "0.1", "0.1"], "Shares of train, valid and test by time."
)
CUT_OFFS = flags.DEFINE_list(
    "cut_offs", None, "First times of valid and of test, instead of --fractions."
)
FORMAT = flags.DEFINE_enum(
    "format", "auto", raw_format.KINDS, "Format of the files; auto: by their endings."
)
DELIMITER = flags.DEFINE_string("delimiter", None, "Delimiter; else a comma or a tab.")
COLUMNS = flags.DEFINE_list("columns", None, "Column names of files without a header.")
MAX_BAD_ROWS = flags.DEFINE_integer(
    "max_bad_rows", 0, "Bad rows that are left out before one stops the run.", 0
)
NUM_PROCESSES = flags.DEFINE_integer(
    "num_processes", None, "Worker processes; else one a CPU.", 1
)
PROGRESS = flags.DEFINE_bool("progress", True, "Show progress bars.")
flags.mark_flags_as_required(["input", "output", "user", "item"])


def main(_) -> None:
    """Runs the program."""
    features = [
        SequenceFeature(
            name,
            max_length=MAX_LENGTH.value,
            padding="left",
            min_count=MIN_COUNT.value if name == ITEM.value else 1,
        )
        for name in (ITEM.value, *FEATURES.value)
    ]
    counts = write_histories(
        INPUT.value,
        Schema(features, group_key=USER.value, timestamp=TIME.value),
        OUTPUT.value,
        split=Split(
            kind=SPLIT.value, fractions=FRACTIONS.value, cut_offs=CUT_OFFS.value
        ),
        stride=STRIDE.value,
        raw_format=raw_format.RawFormat(
            kind=FORMAT.value,
            delimiter={r"\t": "\t"}.get(DELIMITER.value, DELIMITER.value),
            columns=COLUMNS.value,
        ),
        max_bad_rows=MAX_BAD_ROWS.value,
        num_processes=NUM_PROCESSES.value,
        progress=PROGRESS.value,
    )
    for split, count in counts.items():
        if count:
            print(f"{split}: {count:,} histories")
    print(f"output: {OUTPUT.value}")


if __name__ == "__main__":
    run_program(main)
