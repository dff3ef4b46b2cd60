"""Each split against a naive one that holds all rows."""

import collections
import math
import sys

import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, Schema
from keras_recs.data.prepare import prepare
from keras_recs.data.split import SPLITS, Split
from tests.raw_logs import log_rows, small_chunks, write_log

SCHEMA = Schema(
    [CategoricalFeature("id")],
    labels=[Label("click")],
    group_key="user",
    timestamp="time",
)


def numbered_rows(num_rows, seed=0):
    rows = log_rows(num_rows, seed)
    for number, row in enumerate(rows):
        row["id"] = f"row{number}"
    return rows


def split_ids(path, tmp_path, name, split, schema=SCHEMA, **options):
    """Ids by split, from the files that `prepare` wrote."""
    import tensorflow as tf

    options.setdefault("raw_format", small_chunks(400))
    options.setdefault("num_processes", 1)
    prepared = prepare(path, schema, tmp_path / name, split=split, **options)
    ids = {}
    for part in SPLITS:
        files = sorted(map(str, prepared.directory.glob(f"{part}-*.tfrecord")))
        spec = {"id": tf.io.FixedLenFeature((), tf.string)}
        records = [record.numpy() for record in tf.data.TFRecordDataset(files)]
        found = tf.io.parse_example(records, spec)["id"].numpy() if records else []
        ids[part] = sorted(value.decode() for value in found)
        if files:
            assert prepared.manifest["rows"][part] == len(ids[part])
    return ids


def by_split(rows, splits):
    return {
        part: sorted(
            row["id"] for row, name in zip(rows, splits, strict=True) if name == part
        )
        for part in SPLITS
    }


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.1), (0.5, 0.5, 0), (0.3, 0, 0.7)])
@pytest.mark.parametrize("fraction_of_second", [False, True])
def test_time_split_is_exact(tmp_path, fractions, fraction_of_second):
    rows = numbered_rows(211)
    rng = np.random.default_rng(5)
    for row in rows:  # many equal times, some before 1970
        row["time"] = int(rng.integers(-20, 25))
        if fraction_of_second:
            row["time"] += float(rng.integers(4)) / 4
    times = sorted(row["time"] for row in rows)
    cuts = []
    for share in (fractions[0], fractions[0] + fractions[1]):
        place = math.floor(211 * share + 1e-9)
        cuts.append(times[place] if place < 211 else math.inf)
    splits = [SPLITS[sum(row["time"] >= cut for cut in cuts)] for row in rows]
    path = write_log(rows, tmp_path / "log.csv")
    split = Split(kind="time", fractions=fractions)
    found = split_ids(path, tmp_path, "out", split)
    assert found == by_split(rows, splits)
    assert len(found["train"]) <= 211 * fractions[0] + 1
    assert bool(list((tmp_path / "out").glob("valid-*"))) == bool(fractions[1])
    named = Split(kind="time", cut_offs=[cuts[0], min(cuts[1], 1e9)])
    assert split_ids(path, tmp_path, "named", named) == by_split(rows, splits)


def test_hash_split_keeps_a_key_together_and_knows_no_order(tmp_path):
    rows = numbered_rows(400)
    path = write_log(rows, tmp_path / "log.csv")
    split = Split(kind="hash", fractions=(0.6, 0.2, 0.2), key="user")
    found = split_ids(path, tmp_path, "out", split)
    users = {row["id"]: row["user"] for row in rows}
    groups = [{users[name] for name in found[part]} for part in SPLITS]
    assert sum(map(len, groups)) == len(set(users.values()))
    assert all(groups)
    again = split_ids(
        write_log(rows[::-1], tmp_path / "back.jsonl"),
        tmp_path,
        "back",
        split,
        raw_format=small_chunks(150),
    )
    assert again == found
    other = Split(kind="hash", fractions=(0.6, 0.2, 0.2), key="user", seed=1)
    assert split_ids(path, tmp_path, "other", other) != found
    # The schema's group key is the default.
    default = Split(kind="hash", fractions=(0.6, 0.2, 0.2))
    assert split_ids(path, tmp_path, "default", default) == found


def test_hash_split_by_an_integer_feature(tmp_path):
    schema = Schema(
        [CategoricalFeature("id"), CategoricalFeature("n", vocabulary_size=9)]
    )
    rows = [{"id": f"row{i}", "n": i % 10} for i in range(50)]
    path = write_log(rows, tmp_path / "log.csv")
    split = Split(kind="hash", fractions=(0.5, 0, 0.5), key="n")
    found = split_ids(path, tmp_path, "out", split, schema)
    last = [{name[-1] for name in found[part]} for part in ("train", "test")]
    assert not last[0] & last[1] and len(last[0] | last[1]) == 10


def test_random_split_depends_on_the_seed_and_the_line_alone(tmp_path):
    rows = numbered_rows(600)
    paths = [
        write_log(rows[:200], tmp_path / "a.csv"),
        write_log(rows[200:], tmp_path / "b.csv"),
    ]
    split = Split(kind="random", seed=3)
    results = [
        split_ids(paths, tmp_path, f"{chunk}", split, raw_format=small_chunks(chunk))
        for chunk in (200, 1 << 20)
    ]
    assert results[0] == results[1]
    shares = [len(results[0][part]) / 600 for part in SPLITS]
    # Four deviations of a binomial.
    for share, expected in zip(shares, split.fractions, strict=True):
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / 600)
    # A bad row elsewhere moves no other row.
    rows[7]["click"] = "bad"
    write_log(rows[:200], tmp_path / "a.csv")
    found = split_ids(paths, tmp_path, "bad", split, max_bad_rows=1)
    assert {part: sorted([*ids, *(["row7"] * ("row7" in results[0][part]))])
            for part, ids in found.items()} == results[0]  # fmt: skip
    other = split_ids(paths, tmp_path, "o", Split(kind="random"), max_bad_rows=1)
    assert other != found


def naive_last(rows):
    """The split of each row, by a stable sort of all rows of a user."""
    splits = ["train"] * len(rows)
    users = collections.defaultdict(list)
    for number, row in enumerate(rows):
        users[row["user"]].append(number)
    for numbers in users.values():
        ordered = sorted(numbers, key=lambda number: rows[number]["time"])
        splits[ordered[-1]] = "test"
        if len(ordered) > 1:
            splits[ordered[-2]] = "valid"
    return splits


@pytest.mark.parametrize(("memory", "processes"), [(32 << 20, 2), (3000, 1)])
def test_last_rows_of_users_against_a_sort(tmp_path, monkeypatch, memory, processes):
    # The package may have the function under the module's name.
    module = sys.modules[prepare.__module__]
    monkeypatch.setattr(module, "_MEMORY_BYTES", memory)
    rows = numbered_rows(500, seed=7)
    rng = np.random.default_rng(8)
    for row in rows:  # with equal times, in no order, users of all frequencies
        row["time"] = int(rng.integers(15))
        row["user"] = f"u{int(rng.zipf(1.4)) % 90}"
    path = write_log(rows, tmp_path / "log.csv")
    split = Split(kind="last_per_user")
    found = split_ids(path, tmp_path, "out", split, num_processes=processes)
    assert found == by_split(rows, naive_last(rows))


def test_last_rows_by_fractions_of_a_second_in_several_files(tmp_path):
    rows = numbered_rows(60)
    rng = np.random.default_rng(9)
    for row in rows:
        row["time"] = round(5 + float(rng.random()), 3)
    rows[3]["click"] = "bad"
    paths = [
        write_log(rows[:31], tmp_path / "a.jsonl"),
        write_log(rows[31:], tmp_path / "b.csv"),
    ]
    split = Split(kind="last_per_user")
    found = split_ids(paths, tmp_path, "out", split, max_bad_rows=1)
    good = rows[:3] + rows[4:]
    assert found == by_split(good, naive_last(good))


def test_splits_that_files_are_already(tmp_path):
    rows = numbered_rows(60)
    paths = [
        write_log(rows[start : start + 20], tmp_path / f"{start}.csv")
        for start in (0, 20, 40)
    ]
    found = split_ids(
        paths[0], tmp_path, "out", None, valid_files=[paths[1]], test_files=paths[2]
    )
    assert found == by_split(rows, ["train"] * 20 + ["valid"] * 20 + ["test"] * 20)
    with pytest.raises(ValueError, match="splits already; leave out `split`"):
        prepare(
            paths[0], SCHEMA, tmp_path / "o", split=Split(kind="hash"), test_files="x"
        )
    with pytest.raises(ValueError, match="must belong to one split"):
        prepare(paths[0], SCHEMA, tmp_path / "o", test_files=paths[:2])


def test_arguments_are_checked(tmp_path):
    for options, message in [
        ({"kind": "week"}, "`kind` must be one of"),
        ({"fractions": (0.5, 0.5)}, "`fractions` must be the shares"),
        ({"fractions": (0.5, 0.6, -0.1)}, "`fractions` must be the shares"),
        ({"fractions": (0.5, 0.2, 0.2)}, "`fractions` must be the shares"),
        ({"fractions": (0, 0.5, 0.5)}, "with some rows for train"),
        ({"kind": "time", "cut_offs": (2, 1)}, "`cut_offs` must be two increasing"),
        ({"kind": "time", "cut_offs": (1,)}, "`cut_offs` must be two increasing"),
        ({"kind": "hash", "cut_offs": (1, 2)}, "`cut_offs` must be two increasing"),
        ({"seed": 1.5}, "`seed` must be an integer"),
    ]:
        with pytest.raises(ValueError, match=message):
            Split(**options)
    path = write_log(numbered_rows(5), tmp_path / "log.csv")
    bare = Schema([CategoricalFeature("id")])
    for kind, message in [
        ("hash", "`key` must be given for kind='hash'"),
        ("time", "needs the time of each row: give the schema a `timestamp`"),
        ("last_per_user", "needs the time of each row"),
    ]:
        with pytest.raises(ValueError, match=message):
            prepare(path, bare, tmp_path / "o", split=Split(kind=kind), num_processes=1)
    assert not (tmp_path / "o").exists()
    split = Split(kind="hash", key="nowhere")
    with pytest.raises(ValueError, match="lacks column 'nowhere'"):
        prepare(path, bare, tmp_path / "o", split=split, num_processes=1)


def test_a_row_without_its_key_is_bad(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("id,k,time\na,x,1\nb,,2\n", "utf-8")
    schema = Schema([CategoricalFeature("id")])
    split = Split(kind="hash", key="k")
    with pytest.raises(ValueError, match="line 3, column 'k': the value is missing"):
        prepare(path, schema, tmp_path / "o", split=split, num_processes=1)
