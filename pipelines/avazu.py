r"""The Avazu click log (Click-Through Rate Prediction), with its hour taken apart.

  python -m pipelines.avazu --input=train.gz --output=avazu
  python -m pipelines.prepare --input=avazu/clicks.csv.gz --schema=avazu/schema.json \
      --output=avazu/prepared --split=time --fractions=0.8,0.1,0.1 \
      --compression=GZIP --num_shards=64
  python -m pipelines.train --config=pipelines/configs/avazu_deepfm.py \
      --workdir=runs/avazu_deepfm

`hour` is YYMMDDHH: it orders the rows, and its hour of the day and weekday become
features. Ids of rows are left out; a value seen fewer than two times is out of
vocabulary. The file is read and written once, row by row.
"""

import csv
import gzip
import os
from datetime import datetime
from pathlib import Path

from absl import app, flags
from tqdm import tqdm

from keras_recs.schema import CategoricalFeature, Label, Schema

INPUT = flags.DEFINE_string("input", None, "The log, .csv or .gz, with its header.")
OUTPUT = flags.DEFINE_string("output", None, "Folder for clicks.csv.gz and schema.")
CATEGORIES = (
    "C1",
    "banner_pos",
    "site_id",
    "site_domain",
    "site_category",
    "app_id",
    "app_domain",
    "app_category",
    "device_id",
    "device_ip",
    "device_model",
    "device_type",
    "device_conn_type",
    *(f"C{number}" for number in range(14, 22)),
)


def avazu_schema(min_count: int = 2) -> Schema:
    """The unfitted schema.

    Args:
        min_count: int. Rarer values are out of vocabulary. Defaults to `2`.
    """
    return Schema(
        features=(
            *(CategoricalFeature(name, min_count=min_count) for name in CATEGORIES),
            CategoricalFeature("hour_of_day", vocabulary_size=24),
            CategoricalFeature("weekday", vocabulary_size=7),
        ),
        labels=(Label("click"),),
        timestamp="hour",
    )


def convert_avazu(source: str | os.PathLike, path: str | os.PathLike) -> int:
    """Writes the log with `hour_of_day` and `weekday` (0 is Monday); returns its rows.

    Args:
        source: CSV file with Avazu's header, zipped by `gzip` where it ends in `.gz`.
        path: the zipped CSV file that is written, whole or not at all.

    Raises:
        ValueError: for a missing column or an hour that is none; line and value are
            named.
    """
    source, path = Path(source), Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    wanted = ("click", "hour", *CATEGORIES)
    opener = gzip.open if source.suffix == ".gz" else open
    count = 0
    try:
        with (
            opener(source, "rt", newline="", encoding="utf-8") as file,
            gzip.open(temporary, "wt", 1, newline="", encoding="utf-8") as out,
        ):
            rows = csv.DictReader(file)
            missing = sorted(set(wanted) - set(rows.fieldnames or ()))
            if missing:
                raise ValueError(
                    f"'{source}' lacks the columns {missing} of the Avazu log. It has "
                    f"{rows.fieldnames}"
                )
            writer = csv.writer(out)
            writer.writerow([*wanted, "hour_of_day", "weekday"])
            for row in tqdm(rows, desc="rows", unit=" rows", mininterval=1):
                moment = _moment(row["hour"], source, rows.line_num)
                values = [row[name] for name in wanted]
                writer.writerow([*values, moment.hour, moment.weekday()])
                count += 1
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _moment(text: str | None, source: Path, line: int) -> datetime:
    try:
        if len(text or "") != 8:
            raise ValueError("not eight digits")
        return datetime.strptime(str(text), "%y%m%d%H")
    except ValueError as error:
        raise ValueError(
            f"'{source}', line {line}: `hour` must be YYMMDDHH. Received: {text!r}"
        ) from error


def main(_) -> None:
    """Runs the program."""
    folder = Path(OUTPUT.value)
    count = convert_avazu(INPUT.value, folder / "clicks.csv.gz")
    avazu_schema().save(folder / "schema.json")
    print(f"{count:,} rows in {folder / 'clicks.csv.gz'}")
    print(f"schema: {folder / 'schema.json'}")


if __name__ == "__main__":
    flags.mark_flags_as_required(["input", "output"])
    app.run(main)
