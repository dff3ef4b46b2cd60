"""The host's side of a table that is partly in memory, against plain dictionaries."""

import fcntl
import json
import subprocess
import sys

import numpy as np
import pytest

from keras_recs.layers.embedding.row_pager import RowPager
from tests.harness import ROOT

INITIAL = {"distribution": "uniform", "mean": 0.5, "scale": 0.25, "seed": 3}


class Slot:
    """What an optimizer's variable looks like to the pager."""

    def __init__(self, name, *shape, dtype="float32"):
        self.name, self.shape, self.dtype = name, shape, dtype
        self.values = np.zeros(shape, "float32")


class Memory:
    """The caller: keeps the values of the slots, and moves them as it is told."""

    def __init__(self, folder, num_rows=40, hot_rows=8, dim=2, **slots):
        self.pager = RowPager(folder, num_rows, dim, hot_rows, INITIAL, prefix="table")
        self.values = np.full((hot_rows, dim), np.nan, "float32")
        self.slots = {}
        for name, initial in slots.items():
            shape = (hot_rows,) if name.startswith("row") else (hot_rows, dim)
            self.slots[name] = Slot(f"table_{name}", *shape)
            self.slots[name].values[...] = initial
            self.pager.attach(self.slots[name], initial)

    def arrays(self):
        return [self.values, *(self.slots[name].values for name in sorted(self.slots))]

    def bring(self, rows):
        names = sorted(self.slots)
        slots, leaving, leaving_rows, filled, *new = self.pager.plan(rows, names)
        assert slots.dtype == leaving.dtype == filled.dtype == "int32"
        old = [array[leaving] for array in self.arrays()]
        self.pager.store(leaving_rows, old[0], old[1:], names)
        for array, values in zip(self.arrays(), new):
            array[filled] = values
        return slots

    def flush(self):
        def values_of_slots(slots):
            values, *others = [array[slots] for array in self.arrays()]
            return values, others

        self.pager.flush(values_of_slots)


def test_random_steps_equal_those_of_dictionaries(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "table"
    memory = Memory(folder, row_sum=0.1, moment=-0.0)
    start = memory.pager.read(np.arange(40))
    assert start.min() >= 0.25
    assert start.max() <= 0.75
    rows_of = {row: start[row].copy() for row in range(40)}
    sums = dict.fromkeys(range(40), np.float32(0.1))
    moments = {row: np.zeros(2, "float32") for row in range(40)}
    trained, evictions = set(), 0
    for step in range(300):
        rows = rng.integers(0, 40 if step % 3 else 9, rng.integers(1, 9))
        before = memory.pager.slots_of(np.arange(40))
        figures = memory.pager.hits, memory.pager.misses
        slots = memory.bring(rows)
        here = memory.pager.slots_of(np.arange(40))
        # Each row of the batch has its own slot, and none has two.
        np.testing.assert_array_equal(here[rows], slots)
        taken = here[here >= 0]
        assert len(set(taken)) == len(taken) == memory.pager.num_hot <= 8
        # Who was in memory and in the batch has not moved.
        stayed = [row for row in set(rows) if before[row] >= 0]
        np.testing.assert_array_equal(before[stayed], here[stayed])
        assert memory.pager.hits - figures[0] == np.sum(before[rows] >= 0)
        assert memory.pager.misses - figures[1] == np.sum(before[rows] < 0)
        for row, slot in dict(zip(rows.tolist(), slots.tolist())).items():
            change = rng.normal(size=2).astype("float32")
            np.testing.assert_array_equal(memory.values[slot], rows_of[row])
            assert memory.slots["row_sum"].values[slot] == sums[row]
            np.testing.assert_array_equal(
                memory.slots["moment"].values[slot], moments[row]
            )
            for array in (memory.values, memory.slots["moment"].values):
                array[slot] += change
            memory.slots["row_sum"].values[slot] += change[0]
            rows_of[row] = rows_of[row] + change
            moments[row] = moments[row] + change
            sums[row] = sums[row] + change[0]
            trained.add(row)
        if step % 97 == 96:
            memory.flush()
        if step % 140 == 139:
            memory.flush()
            evictions += memory.pager.evictions
            memory.pager.close()
            memory = Memory(folder, row_sum=0.1, moment=-0.0)
    evictions += memory.pager.evictions
    assert evictions > 100
    assert memory.pager.bytes_read > 0
    assert memory.pager.bytes_written > 0
    memory.flush()
    assert memory.pager.stored_rows().tolist() == sorted(trained)
    every = np.arange(40)
    for name, expected in (("row_sum", sums), ("moment", moments), (None, rows_of)):
        np.testing.assert_array_equal(
            memory.pager.read(every, name), [expected[row] for row in range(40)]
        )
    slots, cold, values = memory.pager.lookup(every)
    merged = memory.values[slots]
    merged[cold] = values
    np.testing.assert_array_equal(merged, [rows_of[row] for row in range(40)])


@pytest.mark.parametrize("exponent", [1.05, 1.2])
def test_hit_rate_is_near_that_of_keeping_the_most_frequent_rows(exponent, tmp_path):
    """No policy that does not see the future keeps better rows for long."""
    num_rows, hot_rows, batch = 20_000, 5_000, 500
    weights = np.arange(1.0, num_rows + 1) ** -exponent
    most_frequent = weights[:hot_rows].sum() / weights.sum()
    rng = np.random.default_rng(0)
    ids = rng.permutation(num_rows)
    cumulative = np.cumsum(weights / weights.sum())
    cumulative[-1] = 1
    memory = Memory(tmp_path / "table", num_rows=num_rows, hot_rows=hot_rows)
    pager = memory.pager
    for step in range(1000):
        if step == 600:
            pager.hits = pager.misses = 0
        memory.bring(ids[np.searchsorted(cumulative, rng.random(batch))])
    assert pager.hit_rate > most_frequent - 0.02
    assert pager.hit_rate < most_frequent + 0.01


def test_rows_that_are_needed_later_displace_those_of_the_past(tmp_path):
    memory = Memory(tmp_path / "table", num_rows=100)
    for _ in range(100):
        memory.bring(np.arange(8))
    for _ in range(1000):
        memory.bring(np.arange(50, 57))
    memory.pager.hits = memory.pager.misses = 0
    memory.bring(np.arange(50, 57))
    assert memory.pager.hit_rate == 1


def test_a_large_table_takes_the_disk_of_its_trained_rows(tmp_path):
    memory = Memory(tmp_path / "table", num_rows=2**28, dim=16, row_sum=0.5)
    rows = np.array([0, 5, 2**27, 2**28 - 1])
    memory.bring(rows)
    memory.values[:4] = 7
    memory.flush()
    memory.pager.snapshot(tmp_path / "snapshot")
    for folder in ("table", "snapshot"):
        files = [path.stat() for path in (tmp_path / folder).iterdir()]
        assert sum(file.st_size for file in files) > 2**34
        assert sum(512 * file.st_blocks for file in files) < 2**20
    memory.values[:4] = 8
    memory.bring(rows)
    memory.pager.restore(tmp_path / "snapshot")
    assert (memory.pager.read(rows) == 7).all()
    beside = np.array([1, 6, 2**27 + 1, 2**28 - 2])
    new = Memory(tmp_path / "new", num_rows=2**28, dim=16)
    np.testing.assert_array_equal(memory.pager.read(beside), new.pager.read(beside))


def test_the_files_of_a_table(tmp_path):
    memory = Memory(tmp_path / "deep" / "table", row_sum=0.5)
    memory.bring(np.arange(3))
    folder = tmp_path / "deep" / "table"
    assert json.loads((folder / "header.json").read_text())["state"] is None
    memory.flush()
    header = json.loads((folder / "header.json").read_text())
    assert header.pop("state") == memory.pager.state != ""
    assert header == {
        "format": 1,
        "num_rows": 40,
        "embedding_dim": 2,
        "dtype": "<f4",
        "initial": INITIAL,
        "slots": {"row_sum": {"width": [], "initial": 0.5}},
    }
    assert RowPager.seed_of(folder) == 3
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == {
        "header.json": (folder / "header.json").stat().st_size,
        "rows.float32": 4 * 2 * 40,
        "written.bits": 5,
        "slot_row_sum.float32": 4 * 40,
    }


# === Files that are not as they should be ===


@pytest.fixture
def folder(tmp_path):
    memory = Memory(tmp_path / "table", row_sum=0.5)
    memory.bring(np.arange(3))
    memory.flush()
    memory.pager.close()
    return tmp_path / "table"


def fails(folder, error, message, **arguments):
    for use in ("lookup", "plan"):
        memory = Memory(folder, **arguments)
        with pytest.raises(error, match=message):
            getattr(memory.pager, use)(np.array([1]))
        memory.pager.close()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_rows": 41}, "num_rows=40 there, num_rows=41 here"),
        ({"dim": 3}, "embedding_dim=2 there, embedding_dim=3 here"),
    ],
)
def test_files_of_another_table(folder, arguments, message):
    fails(
        folder, ValueError, f"header.json' is of another table: {message}", **arguments
    )


@pytest.mark.parametrize(
    "key, value", [("dtype", ">f4"), ("initial", {**INITIAL, "seed": 4}), ("format", 2)]
)
def test_header_of_another_table(folder, key, value):
    file = folder / "header.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    fails(folder, ValueError, f"is of another table: {key}=")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"slots": {}}'])
def test_a_damaged_header(folder, text):
    (folder / "header.json").write_text(text)
    fails(folder, ValueError, r"header.json' is damaged. Use `restore\(folder\)`")


@pytest.mark.parametrize(
    "name", ["rows.float32", "written.bits", "slot_row_sum.float32", "header.json"]
)
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    fails(folder, FileNotFoundError, f"{name}' is missing")


@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize("name", ["rows.float32", "slot_row_sum.float32"])
def test_a_file_of_another_size(folder, name, change):
    size = (folder / name).stat().st_size
    with open(folder / name, "r+b") as file:
        file.truncate(size + change)
    fails(folder, ValueError, f"{name}' must have {size} bytes.*{size + change} bytes")


def test_a_folder_of_something_else_is_kept(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"cat")
    fails(folder, FileNotFoundError, "is no table")
    with pytest.raises(ValueError, match="holds other files than a table"):
        Memory(folder).pager.replace(np.arange(1), np.ones((1, 2)), {}, "state")
    assert (folder / "cat.jpg").read_bytes() == b"cat"


def test_a_slot_of_another_optimizer(folder):
    memory = Memory(folder, row_sum=0.25)
    with pytest.raises(
        ValueError, match=r"keeps the optimizer's 'row_sum'.*0\.5.*0\.25"
    ):
        memory.pager.plan(np.array([1]), ["row_sum"])


def test_a_snapshot_must_be_whole(folder, tmp_path):
    memory = Memory(folder)
    memory.pager.snapshot(tmp_path / "snapshot")
    (tmp_path / "snapshot" / "rows.float32").unlink()
    before = memory.pager.read(np.arange(40))
    with pytest.raises(FileNotFoundError, match=r"rows\.float32' is missing"):
        memory.pager.restore(tmp_path / "snapshot")
    np.testing.assert_array_equal(memory.pager.read(np.arange(40)), before)
    memory.bring(np.arange(3))
    with pytest.raises(ValueError, match="must be flushed before a snapshot"):
        memory.pager.snapshot(tmp_path / "other")
    with pytest.raises(ValueError, match="is no snapshot: it was never flushed"):
        Memory(tmp_path / "copy").pager.restore(folder)
    assert not (tmp_path / "copy").exists()


def test_a_snapshot_that_fails_leaves_nothing(folder, tmp_path, monkeypatch):
    memory = Memory(folder)
    monkeypatch.setattr(
        "shutil.copy", lambda *_: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.raises(OSError, match="full"):
        memory.pager.snapshot(tmp_path / "snapshot")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["table", "table.lock"]


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_two_processes_that_train_one_table(folder, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, f"{folder}.lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert process.stdout.readline() == b"held\n"
        memory = Memory(folder)
        with pytest.raises(ValueError, match=rf"'{folder}' is held by another process"):
            memory.bring(np.array([1]))
        memory.pager.lookup(np.array([1]))  # reading is allowed
    finally:
        process.communicate(timeout=20)
    memory.bring(np.array([1]))
    with (
        open(f"{folder}.lock", "a", encoding="utf-8") as file,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    del memory  # lets go
    Memory(tmp_path / "other").bring(np.array([1]))


def test_a_holder_that_was_dropped_lets_go(folder):
    memory = Memory(folder)
    memory.bring(np.array([1]))
    memory.flush()
    memory.itself = memory  # as a Keras model refers to itself
    del memory
    Memory(folder).bring(np.array([2]))


def test_what_an_earlier_process_left(folder, tmp_path):
    memory = Memory(folder)
    assert memory.pager.is_left_over
    memory.pager.snapshot(tmp_path / "snapshot")
    memory.pager.restore(tmp_path / "snapshot")
    assert not memory.pager.is_left_over
    memory = Memory(folder)
    assert memory.pager.is_left_over
    memory.pager.replace([], np.zeros((0, 2)), {}, memory.pager.state)
    assert not memory.pager.is_left_over
    memory = Memory(folder)
    memory.bring(np.array([1]))
    assert not memory.pager.is_left_over
    new = Memory(tmp_path / "new")
    assert not new.pager.is_left_over
    new.bring(np.array([1]))
    assert not new.pager.is_left_over


def test_a_full_disk(folder, monkeypatch):
    monkeypatch.setattr(
        "shutil.disk_usage", lambda _: type("Usage", (), {"free": 5000})
    )
    memory = Memory(folder, hot_rows=2)
    memory.bring(np.array([1, 2]))
    with pytest.raises(ValueError, match=r"disk of the table .* is full.* 5000 bytes"):
        memory.bring(np.array([3, 4]))


# === Misuse ===


def test_a_step_that_stopped_half_way(tmp_path):
    memory = Memory(tmp_path / "table")
    memory.pager.plan(np.array([1, 2]))
    with pytest.raises(
        ValueError, match=r"stopped while rows moved.*`restore\(folder\)`"
    ):
        memory.bring(np.array([3]))
    with pytest.raises(ValueError, match="nothing was flushed"):
        memory.flush()


@pytest.mark.parametrize(
    "slot, message",
    [
        (Slot("table_a", 9), r"one entry, or one row, for each of the 8.*shape=\(9,\)"),
        (Slot("table_a", 8, 3), r"shape=\(8, 3\)"),
        (Slot("table_a", 8, dtype="bfloat16"), "must be float32.*dtype=bfloat16"),
        (Slot("table_a/b", 8), "letters, digits and '_'.*name='a/b'"),
    ],
)
def test_slots_that_cannot_travel(slot, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Memory(tmp_path / "table").pager.attach(slot, 0.0)


def test_a_batch_that_is_too_large_changes_nothing(tmp_path):
    memory = Memory(tmp_path / "table")
    memory.bring(np.array([1, 2, 3]))
    with pytest.raises(ValueError, match=r"needs 9 different rows.*hot_rows=8"):
        memory.bring(np.arange(9))
    assert memory.pager.num_hot == 3
    assert memory.pager.misses == 3
    memory.bring(np.arange(8))
    assert memory.pager.num_hot == 8
    assert len(memory.bring(np.zeros(0, "int64"))) == 0
