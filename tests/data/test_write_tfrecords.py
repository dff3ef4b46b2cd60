"""`write_tfrecords` against tf.train.Example and TensorFlow's own parser."""

import gzip
import random
import re
import struct

import numpy as np
import pyarrow as pa
import pytest

from keras_recs import CategoricalFeature, NumericFeature, Schema
from keras_recs.data.encode_records import encode_records
from keras_recs.data.write_tfrecords import write_tfrecords
from keras_recs.preprocessing.reading.raw_format import RawFormat
from tests.raw_logs import log_rows, log_schema, small_chunks, write_log
from tests.samples import example


def read(paths, compression=""):
    import tensorflow as tf

    dataset = tf.data.TFRecordDataset([str(path) for path in paths], compression)
    return [record.numpy() for record in dataset]


def canonical(records):
    """Records with their keys in the order of TensorFlow's protobuf."""
    import tensorflow as tf

    return [
        tf.train.Example.FromString(record).SerializeToString(deterministic=True)
        for record in records
    ]


def expected_example(row):
    """The example of a row of `log_rows`, through TensorFlow's own classes."""
    hour = row["hour"]
    return example(
        {
            **row,
            "tags": row["tags"] or None,
            "history": row["history"] or None,
            "hour": None if hour == -1 else hour,
            **{
                name: None if row[name] is None else float(row[name])
                for name in ("price", "age", "click", "weight", "rating")
            },
        }
    )


@pytest.mark.parametrize(
    "name", ["log.csv", "log.csv.gz", "log.tsv", "log.jsonl", "log.parquet"]
)
def test_records_are_the_bytes_of_examples(tmp_path, name):
    rows = log_rows(60)
    path = write_log(rows, tmp_path / name)
    written = write_tfrecords(
        path,
        log_schema(),
        tmp_path / "out" / "train",
        num_shards=1,
        raw_format=small_chunks(),
        num_processes=1,
    )
    assert written == {str(tmp_path / "out/train-00000-of-00001.tfrecord"): 60}
    records = read(written)
    expected = [expected_example(row) for row in rows]
    assert canonical(records) == expected
    assert list(map(len, records)) == list(map(len, expected))


def test_what_is_parsed_is_what_stood_in_the_rows(tmp_path):
    from keras_recs.data import parse_examples

    rows = log_rows(80, seed=3)
    path = write_log(rows, tmp_path / "log.csv")
    written = write_tfrecords(path, log_schema(), tmp_path / "t", num_processes=1)
    parsed = parse_examples(read(written), log_schema(), features_only=False)
    parsed = {name: value.numpy() for name, value in parsed.items()}
    order = {(row["user"], row["time"], row["rating"]): row for row in rows}
    assert len(order) == 80
    for number in range(80):
        key = parsed["user"][number].decode(), parsed["time"][number]
        (row,) = (
            row
            for row in rows
            if (row["user"], row["time"]) == key
            and np.float32(row["rating"]) == parsed["rating"][number]
        )
        assert parsed["item"][number] == (row["item"] or "").encode()
        assert parsed["hour"][number] == (-1 if row["hour"] is None else row["hour"])
        tags = [tag.decode() for tag in parsed["tags"][number]]
        assert tags == row["tags"]
        price = np.float32(np.nan if row["price"] is None else row["price"])
        np.testing.assert_equal(parsed["price"][number], price)


@pytest.mark.parametrize("compression", [None, "GZIP"])
def test_files_are_even_and_do_not_depend_on_the_processes(tmp_path, compression):
    rows = log_rows(203, seed=4)
    path = write_log(rows, tmp_path / "log.jsonl")
    results = []
    for processes in (1, 3):
        folder = tmp_path / f"out{processes}"
        written = write_tfrecords(
            path,
            log_schema(),
            folder / "part",
            num_shards=3,
            compression=compression,
            raw_format=small_chunks(4000),
            num_processes=processes,
        )
        ending = ".tfrecord.gz" if compression else ".tfrecord"
        names = [f"part-0000{shard}-of-00003{ending}" for shard in range(3)]
        there = sorted(file.name for file in folder.iterdir())
        assert there == ["manifest-part.json", *names]
        assert list(written) == [str(folder / name) for name in names]
        assert sum(written.values()) == 203
        assert max(written.values()) - min(written.values()) <= 3
        for file, count in written.items():
            assert len(read([file], compression or "")) == count
        results.append([(folder / name).read_bytes() for name in names])
    assert results[0] == results[1]
    records = canonical(read(written, compression or ""))
    assert sorted(records) == sorted(expected_example(row) for row in rows)


def test_few_rows_leave_empty_files_that_can_be_read(tmp_path):
    from keras_recs.data.tfrecord_files import count_records

    path = write_log(log_rows(2), tmp_path / "log.csv")
    for compression in (None, "GZIP"):
        written = write_tfrecords(
            path,
            log_schema(),
            tmp_path / f"{compression}",
            num_shards=5,
            compression=compression,
            num_processes=1,
        )
        assert sorted(written.values()) == [0, 0, 0, 1, 1]
        assert len(read(written, compression or "")) == 2
        for file, rows in written.items():
            assert count_records(file).num_records == rows


def random_column(rng, kind, rows):
    if kind == "string":
        choices = [
            None,
            b"",
            b"a",
            b"\x00\xff",
            "日本".encode(),
            b"x" * 127,
            b"y" * 20_000,
        ]
        return pa.array([rng.choice(choices) for _ in range(rows)], pa.binary())
    if kind == "float32":
        choices = [None, 0.0, -0.0, 1e-45, 3.4e38, -1.5, rng.random()]
        return pa.array([rng.choice(choices) for _ in range(rows)], pa.float32())
    integers = [0, 1, -1, 127, 128, 300, 2**31, 2**63 - 1, -(2**63)]
    if kind == "int64":
        choices = [None, *integers]
        return pa.array([rng.choice(choices) for _ in range(rows)], pa.int64())
    texts = [b"a", b"", b"bc" * 100, "é".encode()]
    items = texts if kind == "strings" else integers
    lists = [[rng.choice(items) for _ in range(rng.randrange(5))] for _ in range(rows)]
    inner = pa.binary() if kind == "strings" else pa.int64()
    return pa.array(lists, pa.list_(inner))


@pytest.mark.parametrize("seed", range(6))
def test_random_columns_are_encoded_as_tensorflow_does(tmp_path, seed):
    import tensorflow as tf

    rng = random.Random(seed)
    rows = rng.choice([1, 2, 50, 200])
    kinds = ["string", "float32", "int64", "strings", "int64s"]
    names = ["b", "a", "ä", "a" * 200, "zz", " ", "ab"]
    columns = {name: random_column(rng, rng.choice(kinds), rows) for name in names}
    records = encode_records(columns, rows)
    path = tmp_path / "records"
    path.write_bytes(records.slice(0, rows))
    expected = []
    for number in range(rows):
        feature = {}
        for name, column in columns.items():
            value = column[number].as_py()
            if value is None or value == []:
                continue
            values = value if isinstance(value, list) else [value]
            if isinstance(values[0], bytes):
                item = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
            elif isinstance(values[0], float):
                item = tf.train.Feature(float_list=tf.train.FloatList(value=values))
            else:
                item = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
            feature[name] = item
        message = tf.train.Example(features=tf.train.Features(feature=feature))
        expected.append(message.SerializeToString(deterministic=True))
    assert canonical(read([path])) == expected, "the checksums are right, too"
    # Columns that are parts of greater ones.
    half = {name: column.slice(rows // 2) for name, column in columns.items()}
    path.write_bytes(encode_records(half, rows - rows // 2).slice(0, rows - rows // 2))
    assert canonical(read([path])) == expected[rows // 2 :]
    some = np.flatnonzero(np.arange(rows) % 3 == 0)
    path.write_bytes(records.select(some).slice(0, len(some)))
    assert canonical(read([path])) == [expected[number] for number in some]


def test_no_rows_are_no_records():
    columns = {"a": pa.array([], pa.binary()), "b": pa.array([], pa.list_(pa.int64()))}
    records = encode_records(columns, 0)
    assert len(records) == 0 and records.slice(0, 0) == b""


def test_framing_is_that_of_the_format(tmp_path):
    (tmp_path / "a.csv").write_text("a\nx\n", "utf-8")
    (path,) = write_tfrecords(
        tmp_path / "a.csv",
        Schema([CategoricalFeature("a")]),
        tmp_path / "p",
        num_shards=1,
        num_processes=1,
    )
    with open(path, "rb") as file:
        data = file.read()
    assert struct.unpack_from("<Q", data)[0] == len(data) - 16


def test_old_files_are_not_mixed_with_new_ones(tmp_path):
    path = write_log(log_rows(9), tmp_path / "log.csv")
    schema, prefix = log_schema(), tmp_path / "train"
    options = {"num_processes": 1}
    write_tfrecords(path, schema, prefix, num_shards=3, **options)
    beside = tmp_path / "train2-00000-of-00001.tfrecord"
    beside.touch()
    with pytest.raises(ValueError, match=r"`prefix` must be new.*00000-of-00003.*over"):
        write_tfrecords(path, schema, prefix, **options)
    before = {file.name for file in tmp_path.iterdir()}
    (tmp_path / "log.csv").write_text("user\nx\n", "utf-8")
    with pytest.raises(ValueError, match="lacks column"):
        write_tfrecords(path, schema, prefix, overwrite=True, **options)
    assert {file.name for file in tmp_path.iterdir()} == before, "still the old ones"
    write_log(log_rows(5), path)
    write_tfrecords(path, schema, prefix, num_shards=2, overwrite=True, **options)
    assert sorted(file.name for file in tmp_path.glob("train*")) == [
        "train-00000-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord",
        beside.name,
    ]


def test_a_bad_row_leaves_nothing(tmp_path):
    path = tmp_path / "log.tsv"
    path.write_text("a\tb\nx\t1\ny\tbad\n", "utf-8")
    schema = Schema([CategoricalFeature("a"), NumericFeature("b")])
    message = re.escape(f"Bad row in '{path}', line 3, column 'b'")
    for processes in (1, 2):
        with pytest.raises(ValueError, match=message):
            write_tfrecords(path, schema, tmp_path / "o" / "t", num_processes=processes)
        assert list((tmp_path / "o").iterdir()) == []
    written = write_tfrecords(
        path,
        schema,
        tmp_path / "o" / "t",
        max_bad_rows=1,
        quarantine=tmp_path / "quarantine.jsonl",
        num_processes=1,
    )
    assert sum(written.values()) == 1
    assert '"line": 3' in (tmp_path / "quarantine.jsonl").read_text("utf-8")


def test_arguments_are_checked(tmp_path):
    for options, message in [
        ({"num_shards": 0}, "`num_shards` must be an integer from 1 to 99999"),
        ({"num_shards": True}, "`num_shards` must be"),
        ({"compression": "ZLIB"}, "`compression` must be None or 'GZIP'"),
    ]:
        with pytest.raises(ValueError, match=message):
            write_tfrecords("x.csv", log_schema(), tmp_path / "t", **options)


def test_damaged_gzip_input_is_named(tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(b"a\n" + b"x\n" * 5000)[:-6])
    with pytest.raises(ValueError, match=r"log\.csv\.gz' is a damaged or cut off gzip"):
        write_tfrecords(
            path,
            Schema([CategoricalFeature("a")]),
            tmp_path / "t",
            raw_format=RawFormat(chunk_bytes=1000),
            num_processes=1,
        )
