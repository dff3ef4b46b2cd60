"""What is refused of Avro files before anything is read."""

import json
import pathlib

import pytest

from keras_recs.interop.avro_source import AvroSource
from keras_recs.schema import Column

fastavro = pytest.importorskip("fastavro")

TEXT = {"c": Column("c", "string")}
IDS = {"c": Column("c", "int64")}
NUMBERS = {"c": Column("c", "float32")}
SET = {"c": Column("c", "string", is_list=True, separator="|")}
ID_SET = {"c": Column("c", "int64", is_list=True, separator="|")}
ENUM = {"type": "enum", "name": "E", "symbols": ["a", "b"]}


@pytest.fixture
def write(tmp_path):
    def write(form, values, **options):
        path = str(tmp_path / "data.avro")
        fields = [{"name": "c", "type": form}, {"name": "d", "type": "long"}]
        schema = {"type": "record", "name": "Row", "namespace": "n", "fields": fields}
        records = [{"c": value, "d": 1} for value in values]
        with open(path, "wb") as file:
            fastavro.writer(file, schema, records, **options)
        return path

    return write


@pytest.mark.parametrize(
    ("form", "values", "columns", "read"),
    [
        ("string", ["a"], TEXT, "string"),
        ("bytes", [b"a"], TEXT, "bytes"),
        (["null", "string"], ["a", None], TEXT, "string"),
        (["string", "null"], ["a", None], SET, "string"),
        ({"type": "string", "logicalType": "uuid"}, ["a"], TEXT, "string"),
        ({"type": "string", "avro.java.string": "String"}, ["a"], TEXT, "string"),
        (["null", ENUM], ["a"], TEXT, ENUM),
        ("int", [1], TEXT, "long"),
        (["null", "int"], [1], IDS, "long"),
        (["long"], [1], NUMBERS, "long"),
        (["null", "float"], [1.0], NUMBERS, "double"),
        ("boolean", [True], NUMBERS, "boolean"),
    ],
)
def test_what_is_read(form, values, columns, read, write):
    source = AvroSource.open(write(form, values), columns)
    found = dict(source.scalars["c"]) if isinstance(read, dict) else source.scalars["c"]
    if isinstance(read, dict):
        found["name"] = found["name"].removeprefix("n.")
    assert found == read
    assert source.num_records == len(values)
    schema = json.loads(source.reader_schema)
    assert schema["name"].removeprefix("n.") == "Row"
    (field,) = schema["fields"]
    assert field["type"] == (
        "boolean" if read == "boolean" else ["null", source.scalars["c"]]
    )


@pytest.mark.parametrize(
    ("items", "columns"),
    [("string", SET), ("long", SET), ("int", ID_SET), ("bytes", SET)],
)
def test_arrays(items, columns, write):
    source = AvroSource.open(write({"type": "array", "items": items}, [[]]), columns)
    assert (source.scalars, source.arrays) == ({}, {"c": items})


@pytest.mark.parametrize(
    ("form", "columns"),
    [
        (["null", "boolean"], NUMBERS),
        (["null", {"type": "array", "items": "string"}], SET),
        ({"type": "array", "items": ["null", "string"]}, SET),
        ({"type": "array", "items": "double"}, SET),
        ({"type": "array", "items": "string"}, ID_SET),
        ({"type": "array", "items": "string"}, TEXT),
        ({"type": "array", "items": {"type": "array", "items": "string"}}, SET),
        (["null", "string", "long"], TEXT),
        (["null"], TEXT),
        ("null", TEXT),
        ({"type": "map", "values": "long"}, IDS),
        ({"type": "fixed", "name": "F", "size": 3}, TEXT),
        ({"type": "record", "name": "R", "fields": []}, TEXT),
        ({"type": "long", "logicalType": "timestamp-millis"}, IDS),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4}, TEXT),
        ("double", IDS),
        ("double", TEXT),
        ("string", NUMBERS),
        ("long", SET),
    ],
)
def test_types(form, columns, write):
    path = write(form, [])
    message = (
        rf"'{path}': column 'c' has the type .*; the schema needs .*pipelines\.prep"
    )
    with pytest.raises(ValueError, match=message):
        AvroSource.open(path, columns)


def test_missing_field(write):
    path = write("long", [])
    with pytest.raises(ValueError, match=rf"'{path}' lacks field 'x' .*\['c', 'd'\]"):
        AvroSource.open(path, {"x": Column("x", "int64")})


def test_codecs(write):
    assert AvroSource.open(write("long", [1], codec="deflate"), IDS).num_records == 1
    path = write("long", [1], codec="bzip2")
    with pytest.raises(ValueError, match=rf"'{path}' is compressed with bzip2"):
        AvroSource.open(path, IDS)


def test_files_that_are_not_whole(write, tmp_path):
    whole = pathlib.Path(write("long", range(3_000), sync_interval=500)).read_bytes()
    assert AvroSource.open(str(tmp_path / "data.avro"), IDS).num_records == 3_000
    cut = tmp_path / "cut.avro"
    for length in (len(whole) - 1, len(whole) - 20, len(whole) - 700, 60, 5):
        cut.write_bytes(whole[:length])
        message = r"cut\.avro' is damaged or cut off: the block at byte \d+, after"
        with pytest.raises(ValueError, match=message):
            AvroSource.open(str(cut), IDS)
    cut.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match="no mark at the end of a block"):
        AvroSource.open(str(cut), IDS)
    for text in (b"", b"PAR1 and more"):
        cut.write_bytes(text)
        with pytest.raises(ValueError, match=r"cut\.avro' is no Avro file"):
            AvroSource.open(str(cut), IDS)


def test_no_records(tmp_path):
    path = str(tmp_path / "numbers.avro")
    with open(path, "wb") as file:
        fastavro.writer(file, "long", [1, 2])
    with pytest.raises(ValueError, match=rf"'{path}' does not hold records"):
        AvroSource.open(path, IDS)
