"""Counting with hardly any memory gives what counting with plenty gives."""

import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from keras_recs import CategoricalFeature, Schema, SequenceFeature
from keras_recs.preprocessing.fit import fit
from keras_recs.preprocessing.fitting import fitter, spilled_groups
from keras_recs.preprocessing.fitting.build_vocabulary import build_vocabulary
from keras_recs.preprocessing.fitting.spilled_groups import (
    GroupBuffer,
    read_groups,
    write_pieces,
)
from keras_recs.preprocessing.fitting.value_counter import (
    CountedTable,
    ValueCounter,
    count_column,
    sum_counts,
)
from tests.raw_logs import log_rows, log_schema, small_chunks, write_log


def table_of(counts):
    values = list(counts)
    return pa.table(
        {
            "value": pa.array([v.encode() for v in values], pa.binary()),
            "count_0": pa.array([counts[v] for v in values], pa.int64()),
        }
    )


@pytest.mark.parametrize(("memory", "levels"), [(50, {1, 2, 3}), (1 << 30, set())])
def test_groups_from_files_are_those_of_a_counter(
    tmp_path, monkeypatch, memory, levels
):
    used = set()

    def spy(tables, key, folder, level=0):
        used.add(level)
        return write_pieces(tables, key, folder, level)

    monkeypatch.setattr(spilled_groups, "write_pieces", spy)
    rng = random.Random(0)
    expected, pieces = Counter(), []
    for _ in range(6):
        buffer = GroupBuffer(sum_counts)
        for _ in range(3):
            counts = Counter(str(rng.randrange(900)) for _ in range(400))
            expected += counts
            buffer.add(table_of(counts))
        pieces += write_pieces({"": buffer.take()}, "value", tmp_path)[""]
        assert buffer.take() is None
    found = Counter()
    for table in read_groups(pieces, "value", sum_counts, tmp_path, memory):
        for row in table.to_pylist():
            assert row["value"] not in found, "a key is in one table only"
            found[row["value"]] += row["count_0"]
    assert {key.decode(): count for key, count in found.items()} == expected
    assert len(list(tmp_path.iterdir())) == 6, "finer files are removed"
    assert used == levels


def test_many_rows_of_one_key_need_no_finer_files(tmp_path):
    pieces = []
    for _ in range(20):
        pieces += write_pieces({"": table_of({"x": 2})}, "value", tmp_path)[""]
    tables = list(read_groups(pieces, "value", sum_counts, tmp_path, 600))
    assert [table.to_pylist() for table in tables] == [[{"value": b"x", "count_0": 40}]]
    assert list(read_groups([], "value", sum_counts, tmp_path, 1)) == []


@pytest.mark.parametrize("memory", [2000, 1 << 30])
@pytest.mark.parametrize("max_size", [None, 40])
def test_vocabularies_sorted_on_disk(tmp_path, memory, max_size):
    rng = random.Random(1)
    defaults = ("17", None, "never")
    encoded = tuple(None if d is None else d.encode() for d in defaults)
    table = CountedTable("t", ("a", "b", "c"), encoded, 3, max_size)
    counter = ValueCounter([table], tmp_path, memory)
    by_feature = [Counter(), Counter(), Counter()]
    for _ in range(8):
        columns = {}
        for number, name in enumerate(table.features):
            values = [
                None if rng.random() < 0.1 else str(int(rng.expovariate(0.02)))
                for _ in range(60)
            ]
            columns[name] = pa.array(
                [None if v is None else v.encode() for v in values], pa.binary()
            )
            filled = [defaults[number] if v is None else v for v in values]
            by_feature[number].update(v for v in filled if v is not None)
        counter.add(columns)
    pieces = counter.finish()["t"]
    path = tmp_path / "t.txt"
    built = build_vocabulary(table, pieces, path, tmp_path, memory)

    total = by_feature[0] + by_feature[1] + by_feature[2]
    always = {"17", "never"}
    others = [v for v, c in total.items() if c >= 3 and v not in always]
    others.sort(key=lambda v: (-total[v], v.encode()))
    if max_size is not None:
        others = others[: max_size - len(always)]
    kept = sorted([*others, *always], key=lambda v: (-total[v], v.encode()))
    assert path.read_text("utf-8").splitlines() == kept
    assert built.size == len(kept)
    assert (built.distinct, built.kept) == (len(total), len(kept))
    for name, counts in zip(table.features, by_feature, strict=True):
        assert built.occurrences[name] == counts.total()
        assert built.known[name] == sum(counts[v] for v in kept)
        top = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0].encode()))
        assert built.top[name] == top[:10]
    assert count_column(2) == "count_2"
    assert not list(tmp_path.glob("values-*")), "runs are removed"


def test_fit_with_spilling_equals_fit_in_memory(tmp_path, monkeypatch):
    path = write_log(log_rows(150), tmp_path / "log.csv")
    schema = Schema(
        [
            CategoricalFeature("item", min_count=2),
            SequenceFeature("history", table="item"),
            CategoricalFeature("user"),
        ]
    )
    for used in (schema, log_schema(max_vocabulary_size=4)):
        results = []
        for memory in (1 << 30, 2000):
            monkeypatch.setattr(fitter, "_COUNT_BYTES", memory)
            monkeypatch.setattr(fitter, "_MERGE_BYTES", memory)
            out = tmp_path / f"out{memory}"
            fitted = fit(
                used, path, out, raw_format=small_chunks(2000), num_processes=1
            )
            files = {
                item.name: item.read_bytes()
                for item in Path(out).rglob("*")
                if item.is_file()
            }
            results.append((fitted.fingerprint(), files))
        assert results[0] == results[1]
