"""Raw logs damaged at every byte: what is lost is a bad row, a warning or an error."""

import gzip
import json
import logging
import os
import re

import pytest

from keras_recs import CategoricalFeature, Label, NumericFeature, Schema
from keras_recs.data import write_tfrecords
from keras_recs.preprocessing.fit import fit
from keras_recs.preprocessing.reading.bad_rows import BadRows
from keras_recs.preprocessing.reading.chunk_task import ChunkTask, Pass
from keras_recs.preprocessing.reading.column_plan import column_plans
from keras_recs.preprocessing.reading.process_pool import ProcessPool
from keras_recs.preprocessing.reading.raw_files import raw_files
from keras_recs.preprocessing.reading.raw_format import RawFormat
from tests.raw_logs import as_csv, as_jsonl, as_tsv, write_parquet

SCHEMA = Schema(
    [CategoricalFeature("word", hash_bins=9), NumericFeature("price")],
    [Label("click")],
)
NAMES = ("word", "price", "click")
ROWS = [("ant", 1.5, 1), ("ünï", None, 0), ("d og", 22.0, 1), ("ee", -3.25, 0)]
QUOTED = [("d,og", 1.5, 1), ('e"el', 2.0, 0), ("ant", 22.0, 1), (",x,", -3.0, 0)]


def text(kind, rows=None):
    rows = rows or (QUOTED if kind == "quoted.csv" else ROWS)
    rows = [dict(zip(NAMES, row, strict=True)) for row in rows]
    make = {"csv": as_csv, "tsv": as_tsv, "jsonl": as_jsonl}
    return make[kind.rsplit(".", 1)[-1]](rows)


class Rows:
    """A step that keeps the rows and their lines."""

    plans = ()

    def start(self):
        pass

    def add(self, chunk, splits):
        columns = [chunk.columns[name].to_pylist() for name in NAMES]
        return list(zip(chunk.lines.tolist(), *columns, strict=True))

    def finish(self):
        pass


class KeptBadRows(BadRows):
    """Bad rows that a test looks at."""

    def __init__(self):
        super().__init__(1000)
        self.rows = []

    def add(self, rows):
        rows = list(rows)
        super().add(rows)
        self.rows += rows


def read_listed(files, raw_format):
    """Good rows by line, and the lines of the bad ones, each once."""
    task = ChunkTask(column_plans(SCHEMA), raw_format.max_line_bytes, [Rows()])
    bad = KeptBadRows()
    with ProcessPool(1) as pool:
        reading = Pass(files, raw_format, pool, task, bad)
        rows = [row for (rows,) in reading for row in rows]
    good = {line: values for line, *values in rows}
    assert len(good) == len(rows) == reading.rows
    lines = [row.line for row in bad.rows]
    assert len(set(lines)) == len(lines) == bad.count
    assert not good.keys() & set(lines)
    return good, lines


def read(path, data=None, **options):
    """Good rows and bad lines, or the message of the error, which names the file."""
    if data is not None:
        path.write_bytes(data)
    raw_format = RawFormat(**options)
    try:
        return read_listed(raw_files(path, raw_format), raw_format)
    except ValueError as error:
        assert str(path) in str(error)
        return str(error)


def line_starts(data):
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


# === Cut at every byte ===


@pytest.mark.parametrize("chunk", [9, 1 << 20])
@pytest.mark.parametrize("kind", ["csv", "quoted.csv", "tsv", "jsonl"])
def test_text_cut_at_every_byte(tmp_path, caplog, kind, chunk):
    """The rows before are whole; the cut one is bad, or a warning says what it is."""
    path, whole = tmp_path / f"log.{kind}", text(kind)
    all_rows, bad = read(path, whole)
    assert bad == [] and len(all_rows) == 4
    starts = line_starts(whole)
    header = 0 if kind == "jsonl" else starts[1]
    for size in range(len(whole)):
        caplog.clear()
        found = read(path, whole[:size], chunk_bytes=chunk)
        if size < header - 1:
            assert isinstance(found, str), size
            continue
        good, bad = found
        complete = sum(end <= size for end in starts[1:])
        for line, row in all_rows.items():
            if line <= complete:
                assert good.pop(line) == row, size
        partial = size > max(starts[complete], header)
        assert [*good, *bad] == [complete + 1] * partial, size
        ends = whole[:size].endswith(b"\n") or kind == "jsonl" or not partial
        assert ("does not end with a line break" in caplog.text) == (not ends), size
        assert ("has no rows" in caplog.text) == (size <= header), size


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_gzip_cut_at_every_byte(tmp_path, kind):
    path, whole = tmp_path / f"log.{kind}.gz", gzip.compress(text(kind), mtime=0)
    assert len(read(path, whole)[0]) == 4
    for size in range(len(whole)):
        found = read(path, whole[:size], chunk_bytes=20)
        wrong = "is not a gzip file" if size < 2 else "damaged or cut off gzip file"
        assert wrong in found, size
        assert "Put back a whole one" in found


def test_parquet_cut_at_every_byte(tmp_path):
    path = tmp_path / "log.parquet"
    write_parquet([dict(zip(NAMES, row, strict=True)) for row in ROWS], path, 2)
    whole = path.read_bytes()
    assert len(read(path)[0]) == 4
    for size in range(len(whole)):
        assert "cannot be read as Parquet" in read(path, whole[:size]), size


# === Every byte another one ===

DAMAGES = {
    "middle bit": lambda byte: bytes([byte ^ 16]),
    "highest bit": lambda byte: bytes([byte ^ 128]),  # no UTF-8
    "NUL": lambda byte: b"\0",
    "quote": lambda byte: b'"',
    "delimiter": lambda byte: b",",
    "gone": lambda byte: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["csv", "quoted.csv", "tsv", "jsonl"])
def test_a_damaged_byte_costs_the_row_it_stands_in(tmp_path, kind, damage):
    """All other rows are as they were; that one is good or bad, never gone."""
    path, whole = tmp_path / f"log.{kind}", text(kind)
    all_rows, _ = read(path, whole)
    starts = line_starts(whole)
    header = 0 if kind == "jsonl" else starts[1]
    errors = bad_lines = 0
    for position, byte in enumerate(whole):
        replaced = DAMAGES[damage](byte)
        if kind == "tsv":
            replaced = replaced.replace(b",", b"\t")
        if replaced == bytes([byte]):
            continue
        data = whole[:position] + replaced + whole[position + 1 :]
        found = read(path, data, chunk_bytes=30 + position % 90)
        line = sum(start <= position for start in starts)
        if isinstance(found, str):
            assert position < header, (position, found)
            errors += 1
            continue
        good, bad = found
        if position < header:  # a header that goes on: rows of too few columns
            assert bad == list(range(2, 6 - (byte == 10))), position
            continue
        joined = byte == 10 and replaced != b"\n" and position < len(whole) - 1
        expected = {}
        for number, row in all_rows.items():
            if number < line:
                expected[number] = row
            elif number > line + joined:  # what follows may stand a line higher
                expected[number - joined] = row
        rest = {number: row for number, row in good.items() if number != line}
        assert rest == expected, position
        assert set(bad) <= {line}, position
        assert line in good or bad == [line], position
        assert bad == [line] or damage != "NUL", position
        bad_lines += len(bad)
    assert bad_lines > 5
    assert errors > 5 or kind == "jsonl"


@pytest.mark.parametrize("damage", ["middle bit", "highest bit", "gone"])
def test_a_damaged_byte_of_a_gzip_file(tmp_path, damage):
    path, data = tmp_path / "log.csv.gz", text("csv")
    whole = gzip.compress(data[:20], mtime=0) + gzip.compress(data[20:], mtime=0)
    rows = read(path, whole)
    assert len(rows[0]) == 4
    harmless = []
    for position, byte in enumerate(whole):
        replaced = DAMAGES[damage](byte)
        found = read(path, whole[:position] + replaced + whole[position + 1 :])
        if not isinstance(found, str):
            assert found == rows, position
            harmless.append(position)
    # Of two members: flags, time and system; bits that fill up the last byte of data.
    assert len(harmless) <= 2 * 8


@pytest.mark.parametrize("checksums", [True, False])
def test_a_flipped_bit_of_a_parquet_file(tmp_path, checksums):
    """Pages have checksums of their own where their writer made them."""
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "log.parquet"
    columns = dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))
    parquet.write_table(
        pa.table(columns),
        path,
        row_group_size=4,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        store_schema=False,
        write_page_checksum=checksums,
    )
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    rows = read(path)
    changed = []
    for position, byte in enumerate(whole):
        data = whole[:position] + bytes([byte ^ 16]) + whole[position + 1 :]
        found = read(path, data)
        if isinstance(found, str) or found == rows:
            continue
        good, bad = found
        assert sorted([*good, *bad]) == [1, 2, 3, 4], position
        changed.append(position)
    if checksums:
        assert all(position >= footer for position in changed)
    else:
        assert any(position < footer for position in changed)


# === Rows ===


@pytest.mark.parametrize("kind", ["csv", "tsv"])
@pytest.mark.parametrize("columns", [1, 2, 4, 9])
def test_rows_of_too_few_and_too_many_columns_are_counted(tmp_path, kind, columns):
    """At every place, and at all of them."""
    whole = text(kind).splitlines(keepends=True)
    delimiter = b"," if kind == "csv" else b"\t"
    wrong = delimiter.join([b"1"] * columns) + b"\n"
    for places in ([1], [2], [3], [4], [1, 4], [2, 3], [1, 2, 3, 4]):
        lines = [wrong if i in places else line for i, line in enumerate(whole)]
        good, bad = read(tmp_path / f"log.{kind}", b"".join(lines), chunk_bytes=25)
        assert bad == [place + 1 for place in places]
        assert sorted([*good, *bad]) == [2, 3, 4, 5]


@pytest.mark.parametrize("chunk", [1, 15, 1 << 20])
def test_an_open_quote_does_not_swallow_the_next_row(tmp_path, chunk):
    """A hashed value may hold line breaks, so that nothing else would tell."""
    data = (
        b'word,price,click\n"open,1,1\n"ant",2,0\n"two\nlines",3,1\n"x,4,0\n"y"z,5,1\n'
    )
    good, bad = read(tmp_path / "log.csv", data, chunk_bytes=chunk)
    assert good == {
        3: [b"ant", 2.0, 0.0],
        4: [b"two\nlines", 3.0, 1.0],
        7: [b"yz", 5.0, 1.0],
    }
    assert bad == [2, 6]


def test_a_block_of_zeros_is_one_bad_row(tmp_path):
    """As a disk leaves it that lost a block: the rows in it cannot be told apart."""
    for kind in ("csv", "tsv", "jsonl"):
        lines = text(kind, ROWS * 3).splitlines(keepends=True)
        data = b"".join(lines[:3]) + bytes(60) + b"".join(lines[6:])
        good, bad = read(tmp_path / f"log.{kind}", data, chunk_bytes=50)
        assert len(bad) == 1, kind
        assert len(good) == len(lines) - 4 - (kind != "jsonl")


# === Files ===


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.jsonl", "log.csv.gz"])
def test_files_that_change_between_listing_and_reading(tmp_path, name):
    path = tmp_path / name
    data = text(name.removesuffix(".gz").removeprefix("log."))
    whole = gzip.compress(data, mtime=0) if name.endswith(".gz") else data
    path.write_bytes(whole)
    listed = raw_files(path, RawFormat())
    assert len(read_listed(listed, RawFormat())[0]) == 4
    rows_end = data.rstrip(b"\n").rfind(b"\n") + 1
    shorter = (
        gzip.compress(data[:rows_end]) if name.endswith(".gz") else data[:rows_end]
    )
    longer = whole + (gzip.compress(data) if name.endswith(".gz") else data[rows_end:])
    for changed in (shorter, longer):
        path.write_bytes(changed)
        message = (
            f"'{path}' has changed .*{len(whole)} bytes at first and has {len(changed)}"
        )
        with pytest.raises(ValueError, match=message):
            read_listed(listed, RawFormat())
    path.unlink()
    with pytest.raises(ValueError, match=f"'{path}' cannot be read: .*Put it back"):
        read_listed(listed, RawFormat())


def test_parquet_that_changes_between_listing_and_reading(tmp_path):
    path = tmp_path / "log.parquet"
    rows = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    write_parquet(rows, path)
    listed = raw_files(path, RawFormat())
    write_parquet(rows[:1], path)
    with pytest.raises(ValueError, match=f"'{path}' has changed while it was read"):
        read_listed(listed, RawFormat())
    path.unlink()
    with pytest.raises(ValueError, match=f"'{path}' cannot be read as Parquet"):
        read_listed(listed, RawFormat())


def test_missing_files_are_named(tmp_path):
    (tmp_path / "a.csv").write_bytes(text("csv"))
    for gone in (tmp_path / "b.csv", tmp_path / "b-*.csv"):
        message = re.escape(f"Received: {str(gone)!r}, which matches no file")
        with pytest.raises(ValueError, match=message):
            raw_files([tmp_path / "a.csv", gone], RawFormat())


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.parquet"])
def test_empty_files_are_named(tmp_path, name):
    message = {
        "log.csv": "must name its columns in the first line",
        "log.csv.gz": "is not a gzip file",
        "log.parquet": "cannot be read as Parquet",
    }[name]
    assert message in read(tmp_path / name, b"")


def test_files_without_rows_are_a_warning(tmp_path, caplog):
    """Between others they would be nothing but fewer rows."""
    (tmp_path / "a.jsonl").write_bytes(text("jsonl"))
    (tmp_path / "b.jsonl").write_bytes(b"")
    (tmp_path / "c.csv").write_bytes(text("csv"))
    (tmp_path / "d.csv").write_bytes(b"word,price,click\n")
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(b""))
    listed = raw_files(tmp_path / "*", RawFormat())
    assert len(listed) == 5
    with caplog.at_level(logging.WARNING):
        task = ChunkTask(column_plans(SCHEMA), 1 << 20, [Rows()])
        with ProcessPool(1) as pool:
            reading = Pass(listed, RawFormat(), pool, task, BadRows())
            list(reading)
    assert reading.rows == 8
    warned = [record.getMessage() for record in caplog.records]
    assert warned == [
        f"'{tmp_path / name}' has no rows. Is it cut off?"
        for name in ("b.jsonl", "d.csv", "e.jsonl.gz")
    ]


def test_a_parquet_file_without_rows_is_a_warning(tmp_path, caplog):
    import pyarrow as pa
    from pyarrow import parquet

    rows = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    table = pa.Table.from_pylist(rows).slice(0, 0)
    parquet.write_table(table, tmp_path / "log.parquet")
    assert read(tmp_path / "log.parquet") == ({}, [])
    assert "log.parquet' has no rows" in caplog.text


def test_plain_text_named_gz_is_refused(tmp_path):
    found = read(tmp_path / "log.csv.gz", text("csv"))
    assert "if it is plain text, name it without '.gz'" in found


# === Bad rows are reported ===


def test_the_number_of_bad_rows_is_reported(tmp_path, caplog):
    """Also where no quarantine file keeps them."""
    data = text("csv", ROWS * 20).splitlines(keepends=True)
    for line in (5, 17, 60):
        data[line] = b"ant,bad,1\n"
    path = tmp_path / "log.csv"
    path.write_bytes(b"".join(data))
    options = {
        "max_bad_rows": 3,
        "num_processes": 1,
        "raw_format": RawFormat(chunk_bytes=100),
    }
    message = re.escape(
        f"3 bad rows are left out. The first: Bad row in '{path}', line 6, column "
        "'price': the value is not a number. Received: 'bad'"
    )
    fit(SCHEMA, path, tmp_path / "fit", **options)
    assert len(re.findall(message, caplog.text)) == 1
    statistics = json.loads((tmp_path / "fit/statistics.json").read_text("utf-8"))
    assert statistics["rows"] == 77
    caplog.clear()
    written = write_tfrecords(path, SCHEMA, tmp_path / "train", **options)
    assert len(re.findall(message, caplog.text)) == 1
    assert sum(written.values()) == 77
    manifest = json.loads((tmp_path / "manifest-train.json").read_text("utf-8"))
    assert manifest["bad_rows"] == 3
    caplog.clear()
    with pytest.raises(ValueError, match=r"line 61, .*More than `max_bad_rows`=2"):
        fit(SCHEMA, path, tmp_path / "fit", **{**options, "max_bad_rows": 2})
    assert "left out" not in caplog.text


def test_no_bad_rows_are_no_warning(tmp_path, caplog):
    (tmp_path / "log.csv").write_bytes(text("csv"))
    fit(SCHEMA, tmp_path / "log.csv", tmp_path / "fit", num_processes=1)
    assert caplog.text == ""
    assert os.listdir(tmp_path / "fit") != []
