"""What is refused of Parquet files before anything is read."""

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keras_recs.interop.parquet_source import ParquetSource
from keras_recs.schema import Column

TEXT = {"c": Column("c", "string")}
IDS = {"c": Column("c", "int64")}
NUMBERS = {"c": Column("c", "float32")}
SET = {"c": Column("c", "string", is_list=True, separator="|")}


@pytest.fixture
def write(tmp_path):
    def write(values, name="c", **options):
        path = str(tmp_path / "data.parquet")
        pq.write_table(
            pa.table({name: values, "other": [None] * len(values)}), path, **options
        )
        return path

    return write


@pytest.mark.parametrize(
    ("values", "columns", "dtype", "unsigned"),
    [
        (["a", "", "b"], TEXT, "string", None),
        ([b"a", b"\xff"], TEXT, "string", None),
        (pa.array(["a", "b"]).dictionary_encode(), TEXT, "string", None),
        (pa.array(["a", "b"], pa.large_string()), SET, "string", None),
        ([1, 2], TEXT, "int64", None),
        (pa.array([1, 2], pa.int8()), IDS, "int32", None),
        (pa.array([1, 2], pa.uint32()), IDS, "int32", "uint32"),
        (pa.array([1, 2], pa.uint64()), TEXT, "int64", "uint64"),
        ([True, False], NUMBERS, "bool", None),
        ([1.5, float("nan")], NUMBERS, "float64", None),
        (pa.array([1.5], pa.float32()), NUMBERS, "float32", None),
    ],
)
def test_what_is_read(values, columns, dtype, unsigned, write):
    source = ParquetSource.open(write(values, row_group_size=1), columns)
    assert source.dtypes == {"c": dtype}
    assert source.unsigned.get("c") == unsigned
    assert source.group_rows == (1,) * len(values)
    assert source.num_rows == len(values)


@pytest.mark.parametrize("statistics", [True, False])
def test_nulls(statistics, write):
    path = write(
        [1.0, 2.0, None, None, 5.0], row_group_size=2, write_statistics=statistics
    )
    with pytest.raises(
        ValueError,
        match=rf"'{path}': column 'c' has 2 nulls in row group 1\..*as NaN or as empty "
        r"text.*python -m pipelines\.prepare",
    ):
        ParquetSource.open(path, NUMBERS)


def test_no_nulls_without_statistics(write):
    path = write([1.0, float("nan")], name="c.d", write_statistics=False)
    source = ParquetSource.open(path, {"c.d": Column("c.d", "float32")})
    assert source.num_rows == 2


def test_lists(write):
    path = write([["a"], [], ["b", "c"]])
    with pytest.raises(
        ValueError,
        match=rf"'{path}': column 'c' has the type list.*without the rows that they "
        r"belong to.*pipelines\.prepare",
    ):
        ParquetSource.open(path, SET)


@pytest.mark.parametrize(
    ("values", "columns"),
    [
        ([1.5], TEXT),
        ([1.5], IDS),
        (["1"], IDS),
        (["1.5"], NUMBERS),
        ([1], SET),
        (np.array([1.5], "float16"), NUMBERS),
        (pa.array([1], pa.timestamp("s")), IDS),
        (pa.array([1], pa.duration("s")), IDS),
        (pa.array([1], pa.decimal128(9, 2)), NUMBERS),
        (pa.array([1], pa.date32()), TEXT),
        (pa.array([b"abc"], pa.binary(3)), TEXT),
    ],
)
def test_types(values, columns, write):
    path = write(values)
    with pytest.raises(ValueError, match=rf"'{path}': column 'c' has the type .*; the"):
        ParquetSource.open(path, columns)


@pytest.mark.parametrize(
    ("values", "options", "columns"),
    [
        (["a", "b"], {"column_encoding": {"c": "DELTA_LENGTH_BYTE_ARRAY"}}, TEXT),
        ([1, 2], {"column_encoding": {"c": "DELTA_BINARY_PACKED"}}, IDS),
        (
            [True, False],
            {"column_encoding": {"c": "RLE"}, "data_page_version": "2.0"},
            NUMBERS,
        ),
    ],
)
def test_encodings(values, options, columns, write):
    path = write(values, use_dictionary=False, **options)
    with pytest.raises(ValueError, match=rf"'{path}': column 'c' is written with \['"):
        ParquetSource.open(path, columns)


def test_missing_and_doubled_columns(write, tmp_path):
    path = write([1])
    with pytest.raises(
        ValueError, match=rf"'{path}' lacks column 'd' of the .*'c', 'o"
    ):
        ParquetSource.open(path, {"d": Column("d", "int64")})
    path = str(tmp_path / "doubled.parquet")
    pq.write_table(pa.table([[1], [2]], names=["c", "c"]), path)
    with pytest.raises(ValueError, match=rf"'{path}' has column 'c' twice"):
        ParquetSource.open(path, IDS)


def test_files_that_are_not_whole(write, tmp_path):
    path = write(np.arange(1000))
    data = pathlib.Path(path).read_bytes()
    for part in (b"", b"PAR1 and more", data[:-20]):
        (tmp_path / "cut.parquet").write_bytes(part)
        with pytest.raises(ValueError, match=r"cut\.parquet' is no whole Parquet file"):
            ParquetSource.open(str(tmp_path / "cut.parquet"), IDS)
