"""`fit` against Counter, NumPy and the csv module."""

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, NumericFeature, Schema
from keras_recs.preprocessing.fit import fit
from keras_recs.preprocessing.reading.raw_format import RawFormat
from tests.raw_logs import (
    as_csv,
    as_jsonl,
    log_rows,
    log_schema,
    small_chunks,
    values_of,
    write_log,
    write_parquet,
)


def vocabulary(schema, table):
    text = Path(schema.vocabularies[table].path).read_bytes().decode()
    assert text == "" or text.endswith("\n")
    return text.split("\n")[:-1]


def ranked(counts, min_count=1, default=None):
    """Values in the order that a vocabulary file must have."""
    counts = Counter(counts)
    if default is not None:
        counts[default] += 0
    kept = [v for v, c in counts.items() if c >= min_count or v == default]
    return sorted(kept, key=lambda v: (-counts[v], v.encode()))


def statistics(directory):
    return json.loads((Path(directory) / "statistics.json").read_text("utf-8"))


@pytest.mark.parametrize(
    "name",
    ["log.csv", "log.csv.gz", "log.tsv", "log.tsv.gz", "log.jsonl", "log.parquet"],
)
def test_every_format_gives_the_counts_of_the_rows(tmp_path, name):
    rows = log_rows(200)
    if name.startswith("log.tsv"):
        assert not any("\t" in str(value) for row in rows for value in row.values())
    path = write_log(rows, tmp_path / name)
    fitted = fit(
        log_schema(min_count=20),
        path,
        tmp_path / "out",
        raw_format=small_chunks(),
        num_processes=1,
    )
    assert fitted.is_fitted
    items = values_of(rows, "item") + values_of(rows, "history")
    assert vocabulary(fitted, "item") == ranked(items, min_count=20)
    places = values_of(rows, "place", "home")
    assert vocabulary(fitted, "place") == ranked(places)
    assert vocabulary(fitted, "tags") == ranked(values_of(rows, "tags"))
    assert set(fitted.vocabularies) == {"item", "place", "tags"}
    for table in fitted.vocabularies.values():
        data = Path(table.path).read_bytes()
        assert table.sha256 == hashlib.sha256(data).hexdigest()
        assert table.size == data.count(b"\n")
        assert Path(table.path).parent == tmp_path / "out" / "vocabularies"

    price = np.array(values_of(rows, "price"), np.float32)
    found = fitted.numerics["price"]
    wide = price.astype(np.float64)
    logs = np.sign(wide) * np.log1p(np.abs(wide))
    assert found.mean == pytest.approx(wide.mean(), rel=1e-14)
    assert found.transformed_mean == pytest.approx(logs.mean(), rel=1e-7)
    assert found.transformed_std == pytest.approx(logs.std(), rel=1e-7)
    assert (found.minimum, found.maximum) == (price.min(), price.max())
    assert found.missing == len(rows) - len(price)
    age = np.array(values_of(rows, "age"))
    quartiles = np.quantile(age, [0.25, 0.5, 0.75], method="inverted_cdf")
    assert fitted.numerics["age"].boundaries == tuple(np.unique(quartiles))


def test_statistics_say_what_was_counted(tmp_path):
    rows = log_rows(300, seed=1)
    path = write_log(rows, tmp_path / "log.csv")
    fit(
        log_schema(min_count=30),
        path,
        tmp_path,
        raw_format=small_chunks(),
        num_processes=1,
    )
    found = statistics(tmp_path)
    assert found["rows"] == 300
    items, history = (
        Counter(values_of(rows, "item")),
        Counter(values_of(rows, "history")),
    )
    both = items + history
    kept = {value for value, count in both.items() if count >= 30}
    item = found["features"]["item"]
    missing = sum(row["item"] is None for row in rows)
    assert (item["count"], item["missing"]) == (300 - missing, missing)
    assert item["table"] == "item"
    assert (item["distinct"], item["kept"]) == (len(both), len(kept))
    assert item["dropped"] == len(both) - len(kept)
    for name, counts in (("item", items), ("history", history)):
        unknown = sum(count for value, count in counts.items() if value not in kept)
        share = found["features"][name]["oov_share"]
        assert share == pytest.approx(unknown / counts.total(), abs=1e-15)
        top = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0].encode()))
        assert found["features"][name]["top"] == [list(pair) for pair in top[:10]]
    history_statistics = found["features"]["history"]
    assert history_statistics["missing"] == sum(not row["history"] for row in rows)
    assert history_statistics["values"] == history.total()

    # -1 is missing, -2 and 24, 25 are outside of 0 … 23.
    hours = [row["hour"] for row in rows if row["hour"] not in (None, -1)]
    outside = sum(not 0 <= hour < 24 for hour in hours)
    assert found["features"]["hour"]["missing"] == 300 - len(hours)
    assert found["features"]["hour"]["out_of_range"] == outside
    assert found["features"]["hour"]["oov_share"] == outside / len(hours)
    clicks = np.array([row["click"] for row in rows])
    assert found["labels"]["click"]["mean"] == clicks.mean()
    assert found["labels"]["click"]["std"] == pytest.approx(clicks.std(), rel=1e-14)
    price = np.array(values_of(rows, "price"), np.float32).astype(np.float64)
    assert found["features"]["price"]["std"] == pytest.approx(price.std(), rel=1e-13)
    assert found["features"]["age"]["rank_error"] == 0


def all_files(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in Path(directory).rglob("*")
        if path.is_file()
    }


def test_result_depends_neither_on_processes_nor_on_chunks(tmp_path):
    rows = log_rows(120, seed=2)
    path = write_log(rows, tmp_path / "log.csv")
    results = []
    for number, (processes, chunk) in enumerate([(1, 1 << 20), (1, 97), (3, 1000)]):
        out = tmp_path / f"out{number}"
        schema = fit(
            log_schema(),
            path,
            out,
            raw_format=small_chunks(chunk),
            num_processes=processes,
        )
        results.append((schema.fingerprint(), all_files(out)))
    for result in results[1:]:
        assert result == results[0]


def test_the_schema_that_is_given_stays_as_it_is(tmp_path):
    schema = log_schema()
    path = write_log(log_rows(20), tmp_path / "log.jsonl")
    fitted = fit(schema, path, tmp_path / "out", num_processes=1)
    assert not schema.is_fitted and fitted is not schema
    assert fitted.features == schema.features
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "statistics.json",
        "vocabularies",
    ]


def test_default_is_in_the_vocabulary_whatever_its_count(tmp_path):
    rows = [{"a": "x"}] * 3 + [{"a": "y"}] * 2 + [{"a": "z"}]
    path = tmp_path / "log.csv"
    path.write_bytes(as_csv(rows))
    for options, expected in [
        ({"default": "q"}, ["x", "y", "z", "q"]),
        ({"default": "q", "min_count": 2}, ["x", "y", "q"]),
        ({"default": "q", "max_vocabulary_size": 2}, ["x", "q"]),
        ({"default": "q", "max_vocabulary_size": 1}, ["q"]),
        ({"default": "x", "max_vocabulary_size": 2}, ["x", "y"]),
        ({"default": "z", "max_vocabulary_size": 2}, ["x", "z"]),
        ({"min_count": 4}, []),
        ({"max_vocabulary_size": 2}, ["x", "y"]),
    ]:
        schema = Schema([CategoricalFeature("a", **options)])
        fitted = fit(schema, path, tmp_path / "out", num_processes=1)
        assert vocabulary(fitted, "a") == expected, options
        assert fitted.vocabularies["a"].size == len(expected)


def test_missing_values_count_as_the_default(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("a,b\n,1\n,2\nx,3\n", "utf-8")
    schema = Schema([CategoricalFeature("a", default="none"), NumericFeature("b")])
    fitted = fit(schema, path, tmp_path, num_processes=1)
    assert vocabulary(fitted, "a") == ["none", "x"]
    found = statistics(tmp_path)["features"]["a"]
    assert found["missing"] == 2 and found["oov_share"] == 0
    assert found["top"] == [["none", 2], ["x", 1]]


def test_values_keep_every_character_and_load_in_keras(tmp_path):
    import tensorflow as tf

    from keras_recs.preprocessing import VocabularyLookup

    values = [
        " lead", "trail ", "\ttab\t", "  ", "a", "A", "[UNK]", "é", "日本", "😀", "#",
        '"q"', "'", "\\n", "a,b", "\u2028x", "x\x85y", "\x0bv\x0c", "nul\x00z", "\ufeff",
        "e\u0301", "NaN", "null", "-1", "0", "x" * 5000, "a\u00a0",
    ]  # fmt: skip
    rows = [{"a": value} for value in values for _ in range(2)]
    path = tmp_path / "log.jsonl"
    path.write_bytes(as_jsonl(rows))
    fitted = fit(Schema([CategoricalFeature("a")]), path, tmp_path, num_processes=1)
    expected = sorted(values, key=str.encode)
    assert vocabulary(fitted, "a") == expected
    lookup = VocabularyLookup(fitted.vocabularies["a"].path)
    found = lookup(tf.constant(expected)).numpy()
    assert found.tolist() == list(range(2, 2 + len(values)))
    stripped = lookup(tf.constant(["lead", "trail", "nul", "", "tab"])).numpy()
    assert stripped.tolist() == [1, 1, 1, 0, 1]


def test_quoted_values_may_hold_anything_where_no_vocabulary_is_made(tmp_path):
    rows = [{"a": "x\ny", "b": 'say "hi",\r\nthen go'}, {"a": "z", "b": "\r"}]
    path = tmp_path / "log.csv"
    path.write_bytes(as_csv(rows))
    schema = Schema([CategoricalFeature("a", hash_bins=4), CategoricalFeature("c")])
    with pytest.raises(
        ValueError, match=r"lacks column 'c' of the schema. It has: \['a'"
    ):
        fit(schema, path, tmp_path, num_processes=1)
    schema = Schema([CategoricalFeature("a", hash_bins=4)])
    fit(schema, path, tmp_path, num_processes=1)
    assert statistics(tmp_path)["features"]["a"]["count"] == 2


def test_values_of_typed_files_are_text_as_in_serving(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    values = [3.0, 2.5, None, float("nan"), 1e20, -0.0, 3.0]
    expected = Counter(["3", "2.5", "100000000000000000000", "0", "3"])
    schema = Schema([CategoricalFeature("a")])
    json_path, parquet_path = tmp_path / "a.jsonl", tmp_path / "a.parquet"
    json_path.write_text(
        "".join(f'{{"a": {json.dumps(v)}}}\n' for v in values), "utf-8"
    )
    parquet.write_table(pa.table({"a": pa.array(values, pa.float64())}), parquet_path)
    for path in (json_path, parquet_path):
        fitted = fit(schema, path, tmp_path, num_processes=1)
        assert vocabulary(fitted, "a") == ranked(expected)
    for array, wanted in [
        (pa.array([True, None, False, True]), ["True", "False"]),
        (pa.array([7, None, 7, -1], pa.int16()), ["7", "-1"]),
        (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
        (pa.array(["b", "b", None, ""]).dictionary_encode(), ["b"]),
        (pa.array(["b", "b", "a"], pa.large_string()), ["b", "a"]),
        (pa.array([None, None]), []),
    ]:
        parquet.write_table(pa.table({"a": array}), parquet_path)
        fitted = fit(schema, parquet_path, tmp_path, num_processes=1)
        assert vocabulary(fitted, "a") == wanted
    mixed = '{"a": 1}\n{"a": "1"}\n{"a": 1.0}\n{"a": true}\n{"a": null}\n{}\n'
    mixed += f'{{"a": {10**30}}}\n{{"a": "x"}}\n'
    json_path.write_text(mixed, "utf-8")
    fitted = fit(schema, json_path, tmp_path, num_processes=1)
    assert vocabulary(fitted, "a") == ["1", str(10**30), "True", "x"]


def test_numbers_in_all_their_spellings(tmp_path):
    texts = ["1", "-2.5", "+3", ".5", "4.", "1e2", "NaN", "nan", " 7 ", "", "-0.0"]
    path = tmp_path / "log.csv"
    path.write_text("a\tb\n" + "".join(f"{text}\tx\n" for text in texts), "utf-8")
    schema = Schema([NumericFeature("a")])
    fitted = fit(
        schema, path, tmp_path, raw_format=RawFormat(kind="tsv"), num_processes=1
    )
    expected = [1, -2.5, 3, 0.5, 4, 100, 7, 0]
    assert fitted.numerics["a"].missing == 3
    assert fitted.numerics["a"].mean == np.mean(expected)
    assert fitted.numerics["a"].maximum == 100


def test_text_files_with_a_mark_without_a_last_line_end_and_with_empty_lines(tmp_path):
    path = tmp_path / "log.csv"
    schema = Schema([CategoricalFeature("a"), NumericFeature("b")])
    for text in [
        "\ufeffa,b\nx,1\n\n\ny,2",
        "a,b\r\nx,1\r\n\r\ny,2\r\n",
        "\ufeffa,b\r\n\r\nx,1\r\ny,2",
        '"a","b"\n"x","1"\n"y",2\n',
        '"a","b"\n"x","1"\n\n"y",2',
    ]:
        path.write_bytes(text.encode())
        for chunk in (1, 5, 1000):
            fitted = fit(
                schema, path, tmp_path, raw_format=small_chunks(chunk), num_processes=1
            )
            assert vocabulary(fitted, "a") == ["x", "y"], (text, chunk)
            assert fitted.numerics["b"].mean == 1.5


def test_files_by_glob_list_and_columns_without_a_header(tmp_path):
    for number in range(3):
        (tmp_path / f"part{number}.txt").write_text(f"1;v{number}\n0;w\n", "utf-8")
    schema = Schema([CategoricalFeature("a")], labels=[Label("y")])
    options = RawFormat(kind="csv", delimiter=";", columns=["y", "a"])
    for files in [
        str(tmp_path / "part*.txt"),
        [tmp_path / f"part{number}.txt" for number in (2, 0, 1)],
        [tmp_path / "part0.txt", str(tmp_path / "part*.txt")],
    ]:
        fitted = fit(schema, files, tmp_path, raw_format=options, num_processes=1)
        assert vocabulary(fitted, "a") == ["w", "v0", "v1", "v2"]
    # A name that reads like a pattern is a name first.
    odd = tmp_path / "part[0].tsv"
    odd.write_text("a\ty\nq\t1\n", "utf-8")
    assert vocabulary(fit(schema, odd, tmp_path, num_processes=1), "a") == ["q"]


def test_columns_of_other_files_may_be_in_another_order(tmp_path):
    (tmp_path / "1.csv").write_text("a,z,b\nx,9,1\n", "utf-8")
    (tmp_path / "2.csv").write_text("b,z,a,z\n3,9,x,9\n", "utf-8")
    schema = Schema([CategoricalFeature("a"), NumericFeature("b")])
    fitted = fit(schema, tmp_path / "*.csv", tmp_path, num_processes=1)
    assert vocabulary(fitted, "a") == ["x"]
    assert fitted.numerics["b"].mean == 2


def test_what_cannot_be_read_is_named(tmp_path):
    schema = Schema([CategoricalFeature("a")])
    good = tmp_path / "good.csv"
    good.write_text("a\nx\n", "utf-8")
    cases = [
        ("none-*.csv", b"", r"Received: '.*none-\*\.csv', which matches no file"),
        ("log.txt", b"a\nx\n", r"log\.txt' is not known by its ending"),
        ("empty.csv", b"", r"empty\.csv' must name its columns in the first line"),
        ("only.csv", b"a\n", "There is no training row"),
        ("twice.csv", b"a,b,a\n1,2,3\n", r"twice\.csv' repeats column 'a'"),
        ("latin.csv", b"\xff\n1\n", r"latin\.csv' does not name columns"),
        ("long.csv", b"x" * 3000, r"long\.csv' must name its columns .* 1000 bytes"),
        ("open.csv", b'"a' + b"x\n" * 900, r"open\.csv' must name its columns"),
        (
            "cut.csv.gz",
            gzip.compress(b"a\nx\n" * 99)[:20],
            r"cut\.csv\.gz' is a damaged",
        ),
        ("bad.parquet", b"PAR1 no", r"bad\.parquet' cannot be read as Parquet"),
    ]
    for name, data, message in cases:
        if "*" not in name:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=message):
            fit(
                schema,
                tmp_path / name,
                tmp_path / "out",
                raw_format=RawFormat(max_line_bytes=1000, chunk_bytes=500),
                num_processes=1,
            )
    with pytest.raises(ValueError, match="at least one file"):
        fit(schema, [], tmp_path / "out")
    with pytest.raises(
        ValueError, match=r"the folder .* pattern such as '.*\*\.parquet'"
    ):
        fit(schema, tmp_path, tmp_path / "out")
    with pytest.raises(ValueError, match="`num_processes` must be a positive integer"):
        fit(schema, good, tmp_path / "out", num_processes=0)
    assert not list(tmp_path.glob("out/.*")), "nothing is left behind"


def test_an_unsuitable_column_type_is_named(tmp_path):
    write_parquet([{"a": [1, 2], "b": {"c": 1}}], tmp_path / "a.parquet")
    for feature, message in [
        (
            NumericFeature("a"),
            r"Column 'a' of '.*a\.parquet' has an unsuitable type: list",
        ),
        (CategoricalFeature("b"), "'b' of .* type: struct.* where string is expected"),
    ]:
        with pytest.raises(ValueError, match=message):
            fit(Schema([feature]), tmp_path / "a.parquet", tmp_path, num_processes=1)


def test_raw_format_says_what_is_wrong():
    for options, message in [
        ({"kind": "xml"}, "`kind` must be one of"),
        ({"delimiter": "::"}, "`delimiter` must be one ASCII character"),
        ({"delimiter": '"'}, "`delimiter` must be one ASCII character"),
        ({"columns": ["a", "a"]}, r"`columns` must name .* Received twice: \['a'\]"),
        ({"columns": []}, "`columns` must name each column"),
        ({"chunk_bytes": 0}, "`chunk_bytes` must be an integer from 1"),
        ({"max_line_bytes": 2.5}, "`max_line_bytes` must be an integer from 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            RawFormat(**options)
