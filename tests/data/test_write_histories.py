"""Logs of events to histories, beside loops, and on to TFRecords."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from keras_recs import Schema, SequenceFeature
from keras_recs.data import Split, prepare, write_histories
from keras_recs.data import write_histories as module
from keras_recs.data.sliding_windows import sliding_windows
from keras_recs.preprocessing.reading.raw_format import RawFormat

T = 3
# User, item, time; not in order, with equal times and an item in the last event alone.
EVENTS = [
    ("b", "i1", 5),
    ("a", "i2", 3),
    ("a", "i1", 1),
    ("a", "i3", 3),
    ("b", "i9", 9),
    ("a", "i4", 3),
    ("c", "i1", 7),
    ("c", "i2", 8),
    ("b", "i2", 6),
    ("a", "i5", 4.5),
    ("a", "i|6", 8),
]
BY_TIME = {
    "a": ["i1", "i2", "i3", "i4", "i5", "i|6"],
    "b": ["i1", "i2", "i9"],
    "c": ["i1", "i2"],
}


def schema(timestamp="time", features=()):
    feature = SequenceFeature("item", max_length=T, padding="left")
    return Schema([feature, *features], group_key="user", timestamp=timestamp)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "events.csv"
    lines = ["user,item,time", *(f"{u},{i},{t}" for u, i, t in EVENTS)]
    path.write_text("\n".join(lines) + "\n")
    return path


def histories(folder, name):
    path = folder / f"{name}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return [(row["user"], row["item"]) for row in rows]


def test_leave_one_out(log, tmp_path):
    out = tmp_path / "out"
    counts = write_histories(log, schema(), out, num_processes=1)
    assert counts == {"train": 3, "valid": 2, "test": 2}
    assert histories(out, "train") == [
        ("a", BY_TIME["a"][:4]),
        ("b", ["i1"]),
        ("c", ["i1", "i2"]),
    ]
    assert histories(out, "valid") == [("a", BY_TIME["a"][:5]), ("b", ["i1", "i2"])]
    assert histories(out, "test") == [("a", BY_TIME["a"]), ("b", BY_TIME["b"])]
    assert Schema.load(out) == schema(None)


@pytest.mark.parametrize("cut_offs", [(4, 8), None])
def test_split_in_time(log, tmp_path, cut_offs):
    """By cut-offs, or the shares that lead to them."""
    out = tmp_path / "out"
    # 11 events: the 5th and the 9th begin at these times.
    split = Split(kind="time", cut_offs=cut_offs)
    if cut_offs is None:
        split = Split(kind="time", fractions=(0.4, 0.35, 0.25))
    write_histories(log, schema(), out, split=split, num_processes=1)
    assert histories(out, "train") == [("a", BY_TIME["a"][:4])]
    # c has no event before its first in that time.
    assert histories(out, "valid") == [("a", BY_TIME["a"][:5]), ("b", ["i1", "i2"])]
    assert histories(out, "test") == [
        ("a", BY_TIME["a"]),
        ("b", BY_TIME["b"]),
        ("c", BY_TIME["c"]),
    ]


def test_order_of_the_file(tmp_path):
    """Without times, as in files of a user and an item a line; bad rows are left out."""
    path = tmp_path / "events.txt"
    path.write_text("2 5\n1 7\n2 4\n1 \n1 3\n")
    out = tmp_path / "out"
    form = RawFormat(kind="csv", delimiter=" ", columns=("user", "item"))
    write_histories(
        path,
        schema(None),
        out,
        split=Split(),
        raw_format=form,
        max_bad_rows=1,
        num_processes=1,
    )
    assert histories(out, "train") == [("1", ["7", "3"]), ("2", ["5", "4"])]
    assert not (out / "valid.jsonl").exists()


def test_windows(log, tmp_path):
    """Each pair of an event and the next once; whole histories elsewhere."""
    out = tmp_path / "out"
    write_histories(log, schema(), out, split=Split(), stride=T, num_processes=1)
    found = histories(out, "train")
    assert [items for user, items in found if user == "a"] == [
        BY_TIME["a"][2:],
        BY_TIME["a"][:3],
    ]
    pairs = [
        (u, *items[i : i + 2]) for u, items in found for i in range(len(items) - 1)
    ]
    expected = [(u, a, b) for u, s in BY_TIME.items() for a, b in pairwise(s)]
    assert sorted(pairs) == sorted(expected)


@pytest.mark.parametrize("stride", [1, 2, 5])
def test_sliding_windows(stride):
    size = 5
    for length in range(1, 15):
        owners, starts, ends = sliding_windows([100], [100 + length], size, stride)
        expected, end = [], length
        while True:
            expected.append((100 + max(0, end - size), 100 + end))
            if end - size <= 0:
                break
            end -= stride
        assert list(zip(starts, ends)) == expected
        assert not owners.any()
    with pytest.raises(ValueError, match=r"`stride` must be.*1 to 5.*stride=6"):
        sliding_windows([0], [9], size, 6)


def test_more_than_fits_into_memory(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{i}", int(t)) for u, i, t in rng.integers(0, 40, (3000, 3))]
    path = tmp_path / "events.csv"
    lines = ["user,item,time", *(f"{u},{i},{t}" for u, i, t in rows)]
    path.write_text("\n".join(lines) + "\n")
    import sys

    monkeypatch.setattr(sys.modules[module.__module__], "_MEMORY_BYTES", 20_000)
    form = RawFormat(chunk_bytes=4_000)
    out = tmp_path / "out"
    write_histories(
        path, schema(), out, split=Split(), raw_format=form, num_processes=1
    )
    expected = {}
    for user, item, _ in sorted(rows, key=lambda row: row[2]):  # stable
        expected.setdefault(user, []).append(item)
    assert dict(histories(out, "train")) == expected


def test_on_to_records(log, tmp_path):
    """The vocabulary is that of the training histories."""
    out = tmp_path / "out"
    write_histories(log, schema(), out, num_processes=1)
    prepared = prepare(
        out / "train.jsonl",
        Schema.load(out),
        tmp_path / "prepared",
        valid_files=out / "valid.jsonl",
        test_files=out / "test.jsonl",
        num_shards=1,
        num_processes=1,
    )
    assert prepared.manifest["rows"] == {"train": 3, "valid": 2, "test": 2}
    path = Path(prepared.schema.vocabularies["item"].path)
    assert set(path.read_text().split()) == {"i1", "i2", "i3", "i4"}


def test_further_features(tmp_path):
    """Values of an event stay beside its item, in windows too."""
    options = {"max_length": T, "padding": "left"}
    features = [
        SequenceFeature("kind", **options),
        SequenceFeature("price", vocabulary_size=100, **options),
    ]
    path = tmp_path / "events.csv"
    lines = [f"{u},{i},{t},k {i},{int(10 * t)}" for u, i, t in EVENTS]
    path.write_text("\n".join(["user,item,time,kind,price", *lines]) + "\n")
    out = tmp_path / "out"
    write_histories(path, schema(features=features), out, stride=T, num_processes=1)
    prices = {(u, i): int(10 * t) for u, i, t in EVENTS}
    seen = 0
    for name in ("train", "valid", "test"):
        for line in (out / f"{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            assert row["kind"] == [f"k {item}" for item in row["item"]]
            assert row["price"] == [prices[row["user"], i] for i in row["item"]]
            seen += len(row["item"])
    assert seen > len(EVENTS)
    assert Schema.load(out).feature_names == ("item", "kind", "price")
    path.write_text("user,item,time,kind,price\na,i1,1,,3\n")
    with pytest.raises(ValueError, match=r"line 2, column 'kind'"):
        write_histories(path, schema(features=features), tmp_path / "no")


def test_bad_input(log, tmp_path):
    out = tmp_path / "out"
    right = Schema([SequenceFeature("item")], group_key="user")
    with pytest.raises(ValueError, match=r"`schema` must have a `group_key`, a Seq"):
        write_histories(log, right, out)
    longer = SequenceFeature("kind", max_length=T + 1, padding="left")
    with pytest.raises(ValueError, match=r"further ones of its length and padding"):
        write_histories(log, schema(features=[longer]), out)
    with pytest.raises(ValueError, match=r"`split` must be of the kind.*kind='hash'"):
        write_histories(log, schema(), out, split=Split(kind="hash"))
    with pytest.raises(ValueError, match=r"`stride` must be from 1.*stride=4, max_l"):
        write_histories(log, schema(), out, stride=T + 1)
    with pytest.raises(ValueError, match=r"needs the time of each row"):
        write_histories(log, schema(None), out, split=Split(kind="time"))
    nothing = tmp_path / "nothing.csv"
    nothing.write_text("user,item,time\n")
    for split in (None, Split(kind="time"), Split(kind="none")):
        with pytest.raises(ValueError, match=r"`files` must hold an event.*hing\.csv"):
            write_histories(nothing, schema(), out, split=split, num_processes=1)
        assert not out.exists()
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(ValueError, match=r"`output` must be a new folder.*out'"):
        write_histories(log, schema(), out)
