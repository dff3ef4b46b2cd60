"""A tiny click log with every kind of feature, as schema, columns and TFRecords."""

import dataclasses
import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np

from keras_recs import (
    CategoricalFeature,
    CrossedFeature,
    Label,
    MultiValuedFeature,
    NumericFeature,
    Schema,
    SequenceFeature,
)
from keras_recs.schema import FittedNumeric, FittedVocabulary

USERS = ["ann", "bob", "cy"]
ITEMS = ["i1", "i2", "i3", "i4", "i5"]
BOUNDARIES = (18.0, 40.0)
PRICE = {"mean": 1.5, "std": 0.5}


def write_vocabulary(path, values):
    """A vocabulary file, and what a schema says of it."""
    text = "".join(f"{value}\n" for value in values)
    Path(path).write_text(text, encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return FittedVocabulary(str(path), len(values), digest)


def unfitted_schema(labels=None):
    """Every kind of feature; `history` shares the table of `item`."""
    if labels is None:
        labels = [
            Label("click", sample_weight="weight"),
            Label("rating", task="regression"),
        ]
    return Schema(
        features=[
            CategoricalFeature("user"),
            CategoricalFeature("item", num_oov=2),
            MultiValuedFeature("genres", hash_bins=7, combiner="sqrtn"),
            SequenceFeature("history", table="item", max_length=3, padding="left"),
            CategoricalFeature("hour", vocabulary_size=24, default=12),
            NumericFeature("price", transform=("log1p", "zscore")),
            NumericFeature("age", num_buckets=3),
            CrossedFeature("user_x_hour", keys=("user", "hour"), hash_bins=11),
        ],
        labels=labels,
        group_key="user",
        timestamp="time",
    )


def click_schema(folder, labels=None):
    """`unfitted_schema` with what a fit would have found."""
    folder = Path(folder)
    numeric = FittedNumeric(30.0, PRICE["mean"], PRICE["std"], 0.0, 90.0)
    return dataclasses.replace(
        unfitted_schema(labels),
        vocabularies={
            "user": write_vocabulary(folder / "user.txt", USERS),
            "item": write_vocabulary(folder / "item.txt", ITEMS),
        },
        numerics={
            "price": numeric,
            "age": dataclasses.replace(numeric, boundaries=BOUNDARIES),
        },
    )


def click_columns(num_rows, seed=0):
    """Raw columns as Python lists, with missing and unknown values of every kind."""
    rng = np.random.default_rng(seed)

    def pick(values, size=None):
        chosen = [values[i] for i in rng.integers(0, len(values), size or num_rows)]
        return chosen if size is None or size > 0 else []

    lists = [[], ["i1"], ["i2", "new"], ["i1", "i2", "i3", "i4", "i5"]]
    return {
        "user": pick([*USERS, "newcomer"]),
        "item": pick([*ITEMS, "new", "newer", None]),
        "genres": pick([[], ["drama"], ["drama", "war"], ["noir", "war", "drama"]]),
        "history": pick(lists),
        "hour": pick([0, 5, 23, 24, 99, None]),
        "price": pick([0.0, 1.25, -3.5, 100.0, None]),
        "age": pick([17.5, 18.0, 39.0, 40.0, 77.0, None]),
        "click": pick([0.0, 1.0]),
        "rating": [float(value) for value in rng.normal(size=num_rows).round(2)],
        "weight": pick([0.5, 1.0, 2.0]),
        "time": list(range(1_000, 1_000 + num_rows)),
    }


def rows_of(columns, start=0, stop=None):
    """Columns as a list of dicts."""
    count = len(next(iter(columns.values())))
    return [
        {name: values[row] for name, values in columns.items()}
        for row in range(start, count if stop is None else stop)
    ]


def example(row):
    """A `tf.train.Example` of Python values; what is `None` is left out."""
    import tensorflow as tf

    feature = {}
    for name, value in row.items():
        if value is None:
            continue
        values = value if isinstance(value, list) else [value]
        if any(isinstance(v, (str, bytes)) for v in values) or not values:
            encoded = [v if isinstance(v, bytes) else v.encode() for v in values]
            item = tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))
        elif isinstance(values[0], int):
            item = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            item = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        feature[name] = item
    message = tf.train.Example(features=tf.train.Features(feature=feature))
    return message.SerializeToString(deterministic=True)


def write_records(path, records):
    """A TFRecord file, gzipped where the name ends in `.gz`."""
    import tensorflow as tf

    compression = "GZIP" if str(path).endswith(".gz") else ""
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return str(path)


def record_offsets(path):
    """Byte at which each record of an uncompressed file starts."""
    data = Path(path).read_bytes()
    offsets, position = [], 0
    while position < len(data):
        offsets.append(position)
        position += 16 + struct.unpack_from("<Q", data, position)[0]
    return offsets


def flip_bit(path, position):
    """Damages one byte of a file."""
    data = bytearray(Path(path).read_bytes())
    data[position] ^= 0x10
    Path(path).write_bytes(data)


def gunzip(path):
    """The bytes inside a `.gz` file."""
    with gzip.open(path) as file:
        return file.read()


def frappe_schema():
    """The sizes of the Frappe data of published benchmarks."""
    sizes = {
        "user": 954,
        "item": 4082,
        "daytime": 7,
        "weekday": 7,
        "isweekend": 2,
        "homework": 3,
        "cost": 2,
        "weather": 9,
        "country": 80,
        "city": 233,
    }
    return Schema(
        features=[
            CategoricalFeature(name, vocabulary_size=size)
            for name, size in sizes.items()
        ],
        labels=[Label("label")],
    )
