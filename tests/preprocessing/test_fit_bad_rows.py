"""Bad rows: found at every place, named, set aside and counted."""

import csv
import io
import json
import random
import re

import pytest

from keras_recs import CategoricalFeature, Label, NumericFeature, Schema
from keras_recs import MultiValuedFeature as Multi
from keras_recs.preprocessing.fit import fit
from keras_recs.preprocessing.reading.raw_format import RawFormat
from tests.raw_logs import small_chunks

SCHEMA = Schema(
    features=[
        CategoricalFeature("word"),
        NumericFeature("price"),
        CategoricalFeature("hour", vocabulary_size=24),
        Multi("tags", vocabulary_size=9),
        CategoricalFeature("free", hash_bins=3),
    ],
    labels=[
        Label("click", sample_weight="weight"),
        Label("stars", task="regression"),
        Label("watch", task="watch_time"),
    ],
    group_key="user",
    timestamp="time",
)
GOOD = {
    "word": "a",
    "price": "1.5",
    "hour": "7",
    "tags": "1|2",
    "free": "f",
    "click": "1",
    "weight": "2",
    "stars": "3.5",
    "watch": "61.5",
    "user": "u",
    "time": "100.5",
}
# Column, bad text, why.
BAD_TEXT = [
    ("price", "inf", "the number is not finite"),
    ("price", "-Infinity", "the number is not finite"),
    ("price", "1e39", "the number is not finite"),
    ("price", "1e999", "the number is not finite"),
    ("price", "12a", "the value is not a number"),
    ("price", "1_000", "the value is not a number"),
    ("price", "0x1F", "the value is not a number"),
    ("price", "١", "the value is not a number"),
    ("price", "nan(1)", "the value is not a number"),
    ("hour", "7.0", "the value is not an integer"),
    ("hour", "x", "the value is not an integer"),
    ("hour", "0x10", "the value is not an integer"),
    ("hour", "9223372036854775808", "the integer does not fit into 64 bits"),
    ("tags", "1|x|2", "the value is not an integer"),
    ("click", "", "the value is missing"),
    ("click", "NaN", "the value is missing"),
    ("click", "2", "a binary label must be 0 or 1"),
    ("click", "0.5", "a binary label must be 0 or 1"),
    ("click", "yes", "the value is not a number"),
    ("weight", "-0.1", "a sample weight must not be negative"),
    ("weight", "", "the value is missing"),
    ("stars", "", "the value is missing"),
    ("watch", "-0.5", "a watch time must not be negative"),
    ("watch", "", "the value is missing"),
    ("watch", "nan", "the value is missing"),
    ("watch", "inf", "the number is not finite"),
    ("user", "", "the value is missing"),
    ("time", "", "the value is missing"),
    ("time", "noon", "the value is not a number"),
    ("time", "inf", "the number is not finite"),
]


def csv_text(rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(GOOD)
    writer.writerows(row.values() for row in rows)
    return text.getvalue().encode()


def run(tmp_path, data, name="log.csv", schema=SCHEMA, **options):
    path = tmp_path / name
    path.write_bytes(data)
    options.setdefault("raw_format", small_chunks(120))
    return fit(
        schema,
        path,
        tmp_path / "out",
        quarantine=tmp_path / "quarantine.jsonl",
        num_processes=1,
        **options,
    )


def quarantined(tmp_path):
    lines = (tmp_path / "quarantine.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def counted(tmp_path):
    return json.loads((tmp_path / "out" / "statistics.json").read_text("utf-8"))["rows"]


@pytest.mark.parametrize(("column", "value", "reason"), BAD_TEXT)
def test_a_bad_value_is_named(tmp_path, column, value, reason):
    rows = [GOOD, {**GOOD, column: value}, GOOD]
    message = f"line 3, column '{column}': {reason}. Received: {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        run(tmp_path, csv_text(rows))
    assert not (tmp_path / "out" / "statistics.json").exists()
    assert not list((tmp_path / "out").glob(".*"))


def test_what_is_not_bad(tmp_path):
    fine = [
        {**GOOD, "hour": "-1"},
        {**GOOD, "hour": "-7"},
        {**GOOD, "hour": "+24"},
        {**GOOD, "hour": " 5 "},
        {**GOOD, "tags": "|1||2|", "word": "", "price": "", "free": ""},
        {**GOOD, "click": "0.0", "weight": "0", "time": "-3.7"},
        {**GOOD, "stars": "-2", "watch": "0"},
        {**GOOD, "word": "x\x01y", "free": "line\nbreak", "user": "\r\n"},
    ]
    run(tmp_path, csv_text(fine))
    assert counted(tmp_path) == len(fine)
    assert not (tmp_path / "quarantine.jsonl").exists()


@pytest.mark.parametrize("chunk", [1, 64, 150, 1 << 20])
def test_bad_rows_at_every_place_are_set_aside(tmp_path, chunk):
    for place in range(6):
        rows = [{**GOOD, "stars": str(number)} for number in range(5)]
        column, value, reason = BAD_TEXT[4]
        bad = {**GOOD, column: value, "stars": "99"}
        rows.insert(place, bad)
        options = {"raw_format": small_chunks(chunk), "max_bad_rows": 1}
        fitted = run(tmp_path, csv_text(rows), **options)
        (found,) = quarantined(tmp_path)
        assert found == {
            "file": str(tmp_path / "log.csv"),
            "line": place + 2,
            "column": column,
            "value": value,
            "reason": reason,
            "raw": csv_text([bad]).decode().splitlines()[1],
        }
        assert counted(tmp_path) == 5
        assert fitted.is_fitted


def test_bad_rows_of_all_kinds_together_and_the_first_too_many(tmp_path):
    rows, expected = [], []
    for number, (column, value, reason) in enumerate(BAD_TEXT):
        rows += [GOOD, {**GOOD, column: value}]
        expected.append((2 * number + 3, column, value, reason))
    run(tmp_path, csv_text(rows), max_bad_rows=len(BAD_TEXT))
    found = [
        (item["line"], item["column"], item["value"], item["reason"])
        for item in quarantined(tmp_path)
    ]
    assert found == expected
    assert counted(tmp_path) == len(BAD_TEXT)
    last = f"line {expected[-1][0]}, .*More than `max_bad_rows`={len(BAD_TEXT) - 1}"
    with pytest.raises(ValueError, match=last):
        run(tmp_path, csv_text(rows), max_bad_rows=len(BAD_TEXT) - 1)
    with pytest.raises(ValueError, match="`max_bad_rows` must be a non-negative"):
        run(tmp_path, csv_text(rows), max_bad_rows=-1)


def test_the_first_bad_column_of_a_row_is_named(tmp_path):
    row = {**GOOD, "hour": "x", "click": "7", "price": "y"}
    with pytest.raises(ValueError, match=r"line 2, column 'price'"):
        run(tmp_path, csv_text([row]))


@pytest.mark.parametrize("kind", ["csv", "tsv"])
@pytest.mark.parametrize("chunk", [1, 9, 1 << 20])
def test_rows_that_are_wrong_as_a_whole(tmp_path, kind, chunk):
    schema = Schema([CategoricalFeature("a"), NumericFeature("b")])
    lines = [
        b"a,b",  # 1
        b"x,1",
        b"x",  # 3
        b"",
        b"x,1,2",  # 5
        b"\xff,1",  # 6
        b"y,\xc3",  # 7
        b"a\rb,1",  # 8
        b"x,1",
        b"z" * 60 + b",1",  # 10
        b"x,1,",  # 11
    ]
    data = b"\n".join(lines)
    if kind == "tsv":
        data = data.replace(b",", b"\t")
    raw_format = small_chunks(chunk, max_line_bytes=50)
    options = {"name": f"log.{kind}", "schema": schema, "raw_format": raw_format}
    run(tmp_path, data, max_bad_rows=9, **options)
    found = {item["line"]: item for item in quarantined(tmp_path)}
    assert sorted(found) == [3, 5, 6, 7, 8, 10, 11]
    assert found[3]["reason"] == "2 columns are expected, but the row has 1"
    assert found[5]["reason"] == "2 columns are expected, but the row has 3"
    assert found[5]["column"] is None
    raw = "x,1,2" if kind == "csv" else "x\t1\t2"
    assert found[5]["raw"] == found[5]["value"] == raw
    assert (found[6]["column"], found[6]["reason"]) == ("a", "the value is not UTF-8")
    assert found[6]["value"] == "\\xff"
    assert (found[7]["column"], found[7]["reason"]) == ("b", "the value is not UTF-8")
    assert "carriage return outside of quotes" in found[8]["reason"]
    assert "longer than 50 bytes" in found[10]["reason"]
    assert counted(tmp_path) == 2
    for bad in sorted(found):
        with pytest.raises(ValueError, match=f"line {bad}[,:]"):
            run(tmp_path, data, max_bad_rows=sorted(found).index(bad), **options)


@pytest.mark.parametrize("chunk", [1, 7, 30, 1 << 20])
def test_quotes_that_do_not_close(tmp_path, chunk):
    schema = Schema([CategoricalFeature("a"), NumericFeature("b")])
    data = b'a,b\nx,1\n"open,1\n"y",2\nq"uote,3\n"z"tail,4\n"never,5\n6,6\n'
    options = {"schema": schema, "raw_format": small_chunks(chunk), "max_bad_rows": 9}
    run(tmp_path, data, **options)
    # That of line 3 seems to close before the y of line 4, which is a row of its own;
    # that of line 7 never does.
    assert [(item["line"], item["reason"]) for item in quarantined(tmp_path)] == [
        (3, "a double quote is not closed"),
        (7, "a double quote is not closed"),
    ]
    assert quarantined(tmp_path)[0]["value"] == '"open,1'
    assert counted(tmp_path) == 5
    long_row = b'a,b\nx,1\n"' + b"w\n" * 100 + b'",1\ny,2\n'
    options["raw_format"] = small_chunks(chunk, max_line_bytes=50)
    options["max_bad_rows"] = 200
    run(tmp_path, long_row, **options)
    found = quarantined(tmp_path)
    assert found[0]["line"] == 3 and "longer than 50 bytes" in found[0]["reason"]
    assert counted(tmp_path) == 2


def test_vocabulary_values_may_not_hold_line_breaks(tmp_path):
    reason = "a value of a vocabulary holds a line break"
    schema = Schema([CategoricalFeature("a"), Multi("b", separator=" ")])
    for text, column in [
        ('a,b\n"x\ny",1\n', "a"),
        ('a,b\n"x\ry",1\n', "a"),
        ('a,b\nx,"1 2\n3"\n', "b"),
    ]:
        with pytest.raises(ValueError, match=f"line 2, column '{column}': {reason}"):
            run(tmp_path, text.encode(), schema=schema)
    for line in ['{"a": "x\\ny"}', '{"a": "\\r"}', '{"b": ["x", "y\\n"]}']:
        with pytest.raises(ValueError, match=reason):
            run(tmp_path, line.encode(), "log.jsonl", schema)


def test_json_lines(tmp_path):
    schema = Schema(
        [
            CategoricalFeature("a"),
            Multi("tags"),
            NumericFeature("n"),
            CategoricalFeature("id", vocabulary_size=5),
        ]
    )
    lines = [
        ('{"a": "x"', "the line is not JSON", None),
        ("[1]", "the line is not a JSON object", None),
        ('{"a": "\udcff"}', "the line is not UTF-8", None),
        ('{"a": "\\ud800"}', "the value is not valid Unicode", "a"),
        ('{"a": {"b": 1}}', "string is expected", "a"),
        ('{"a": ["x"]}', "string is expected", "a"),
        ('{"a": Infinity}', "the number is not finite", "a"),
        ('{"tags": 5}', "a list is expected", "tags"),
        ('{"tags": ["a", {}]}', "string is expected", "tags"),
        ('{"n": "7x"}', "the value is not a number", "n"),
        ('{"n": -Infinity}', "the number is not finite", "n"),
        ('{"n": 1e60}', "the number is not finite", "n"),
        ('{"n": [1]}', "float32 is expected", "n"),
        ('{"id": 1.5}', "the value is not an integer", "id"),
        (f'{{"id": {2**63}}}', "the integer does not fit into 64 bits", "id"),
        ('{"id": {}}', "int64 is expected", "id"),
        ("[" * 100_000, "the line is not JSON", None),
    ]
    good = '{"a": "x", "tags": "p|q", "n": "1.5", "id": "3"}'
    text = "\n".join(f"{line}\n{good}" for line, _, _ in lines)
    data = text.encode("utf-8", "surrogateescape")
    options = {"raw_format": RawFormat(chunk_bytes=200), "max_bad_rows": len(lines)}
    run(tmp_path, data, "log.jsonl", schema, **options)
    found = quarantined(tmp_path)
    assert [item["line"] for item in found] == list(range(1, 2 * len(lines), 2))
    for item, (line, reason, column) in zip(found, lines, strict=True):
        assert item["reason"].startswith(reason), line
        assert item["column"] == column
    assert counted(tmp_path) == len(lines)
    assert max(len(item["raw"]) for item in found) < 11_000


def test_parquet_rows_are_named_by_number(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    schema = Schema([NumericFeature("a"), CategoricalFeature("w")], [Label("y")])
    table = pa.table(
        {
            "a": [1.0, float("inf"), None, float("nan"), 2.0],
            "w": ["p", "q", "r", "s", None],
            "y": pa.array([1, 0, None, 5, 0], pa.int8()),
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    fit(
        schema,
        tmp_path / "a.parquet",
        tmp_path / "out",
        max_bad_rows=3,
        quarantine=tmp_path / "quarantine.jsonl",
        num_processes=1,
    )
    found = [(i["line"], i["column"], i["value"]) for i in quarantined(tmp_path)]
    assert found == [(2, "a", "inf"), (3, "y", ""), (4, "y", "5")]
    assert json.loads(quarantined(tmp_path)[2]["raw"])["w"] == "s"
    assert counted(tmp_path) == 2


def reference(text):
    """Good values and bad lines by the csv module; what stands in a quote may break."""
    good, bad, line = [], [], 2
    reader = csv.reader(io.StringIO(text, newline=""))
    next(reader)
    for row in reader:
        if row and len(row) != 2:
            bad.append(line)
        elif row:
            good.append(row)
        line = reader.line_num + 1
    return good, bad


@pytest.mark.parametrize("seed", range(3))
def test_quoted_text_is_read_as_the_csv_module_reads_it(tmp_path, seed):
    rng = random.Random(seed)
    schema = Schema([CategoricalFeature("a", hash_bins=3), NumericFeature("b")])
    parts = ["x", "é", '""', "\n", "\r\n", ",", " ", "7", "\n\n"]
    for _ in range(12):
        rows = ["a,b\n"]
        for number in range(rng.randint(1, 12)):
            if rng.random() < 0.5:
                value = '"' + "".join(rng.choices(parts, k=rng.randint(0, 6))) + '"'
            else:
                value = rng.choice(["", "plain", "two words"])
            extra = rng.choice(["", "", "", "", ",1", "\n\n"[:1]])
            rows.append(f"{value},{number}{extra}" + rng.choice(["\n", "\r\n"]))
        text = "".join(rows)
        good, bad = reference(text)
        if not good:
            continue
        for chunk in (1, rng.randint(2, 40), 1 << 16):
            options = {"raw_format": small_chunks(chunk), "max_bad_rows": 99}
            (tmp_path / "quarantine.jsonl").unlink(missing_ok=True)
            fitted = run(tmp_path, text.encode(), schema=schema, **options)
            found = []
            if bad:
                found = [item["line"] for item in quarantined(tmp_path)]
            assert found == bad, text
            assert counted(tmp_path) == len(good), text
            numbers = [float(row[1]) for row in good]
            assert fitted.numerics["b"].mean == sum(numbers) / len(numbers)
