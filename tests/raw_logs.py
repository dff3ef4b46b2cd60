"""Small raw logs, in every format that `pipelines.prepare` reads."""

import csv
import gzip
import io
import json

import numpy as np

from keras_recs import (
    CategoricalFeature,
    Label,
    MultiValuedFeature,
    NumericFeature,
    Schema,
    SequenceFeature,
)
from keras_recs.preprocessing.reading.raw_format import RawFormat

WORDS = ["ant", "bee", "cat", "d,og", 'e"el', "f ly", "ünï", "日本", "NaN", "0", "None"]


def log_schema(**options):
    """Every kind of raw feature; `history` shares the table of `item`."""
    return Schema(
        features=[
            CategoricalFeature("item", **options),
            CategoricalFeature("place", default="home"),
            MultiValuedFeature("tags"),
            SequenceFeature("history", table="item", max_length=5),
            CategoricalFeature("hour", vocabulary_size=24),
            CategoricalFeature("agent", hash_bins=16),
            NumericFeature("price", transform=("log1p", "zscore")),
            NumericFeature("age", num_buckets=4),
        ],
        labels=[
            Label("click", sample_weight="weight"),
            Label("rating", task="regression"),
        ],
        group_key="user",
        timestamp="time",
    )


def log_rows(num_rows, seed=0):
    """Rows as dicts of Python values; `None` is missing, lists may be empty."""
    rng = np.random.default_rng(seed)

    def word(missing=0.2):
        return None if rng.random() < missing else WORDS[int(rng.integers(len(WORDS)))]

    def words():
        return [word(0) for _ in range(int(rng.integers(4)))]

    def number(value, missing=0.2):
        return None if rng.random() < missing else value

    return [
        {
            "user": f"u{int(rng.integers(max(num_rows // 5, 1)))}",
            "item": word(),
            "place": word(0.5),
            "tags": words(),
            "history": words(),
            "hour": number(int(rng.integers(-2, 26))),
            "agent": word(),
            "price": number(round(float(rng.normal(5, 50)), 3)),
            "age": number(float(rng.integers(10, 90))),
            "click": int(rng.integers(2)),
            "weight": round(float(rng.random()), 2),
            "rating": round(float(rng.normal()), 2),
            "time": int(rng.integers(1_000, 1_000 + num_rows)),
        }
        for _ in range(num_rows)
    ]


def cell(value):
    """A value as text."""
    if value is None:
        return ""
    if isinstance(value, list):
        return "|".join(value)
    return str(value)


def as_csv(rows, delimiter=",", header=True, line_end="\n"):
    """RFC 4180 text, by the csv module."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end)
    if header:
        writer.writerow(rows[0])
    writer.writerows([cell(value) for value in row.values()] for row in rows)
    return text.getvalue().encode()


def as_tsv(rows, header=True):
    """Tab-separated text without quotes."""
    lines = ["\t".join(rows[0])] if header else []
    lines += ["\t".join(cell(value) for value in row.values()) for row in rows]
    return "".join(f"{line}\n" for line in lines).encode()


def as_jsonl(rows):
    """A JSON object a line; what is missing is null or not there."""
    lines = []
    for number, row in enumerate(rows):
        kept = {k: v for k, v in row.items() if v is not None or number % 2}
        lines.append(json.dumps(kept, ensure_ascii=bool(number % 3)))
    return "".join(f"{line}\n" for line in lines).encode()


def write_parquet(rows, path, row_group_size=37):
    """A Parquet file of several row groups."""
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=row_group_size)


def write_log(rows, path):
    """Writes rows in the format of the file's ending; a `.gz` has two members."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        write_parquet(rows, path)
        return path
    make = {".csv": as_csv, ".tsv": as_tsv, ".jsonl": as_jsonl}
    data = make["." + name.rsplit(".", 1)[1]](rows)
    if path.name.endswith(".gz"):
        middle = len(data) // 2
        data = gzip.compress(data[:middle]) + gzip.compress(data[middle:])
    path.write_bytes(data)
    return path


def small_chunks(chunk_bytes=300, **options):
    """A format that cuts files into many chunks."""
    return RawFormat(chunk_bytes=chunk_bytes, **options)


def values_of(rows, name, default=None):
    """All values of a column, lists flattened, missing ones as the default."""
    values = []
    for row in rows:
        value = row[name]
        items = value if isinstance(value, list) else [value] * (value is not None)
        values += items or ([] if default is None else [default])
    return values
