"""`prepare`: no leak, whole or not at all, nothing twice, bounded memory."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from keras_recs import CategoricalFeature, Label, NumericFeature, Schema
from keras_recs.data.prepare import prepare
from keras_recs.data.split import SPLITS, Split
from tests.processes import all_ended, children_of
from tests.raw_logs import log_rows, log_schema, small_chunks, values_of, write_log

ROOT = Path(__file__).parents[2]


def run(path, output, **options):
    options.setdefault("raw_format", small_chunks(500))
    options.setdefault("num_processes", 1)
    options.setdefault("num_shards", 2)
    return prepare(path, options.pop("schema", log_schema()), output, **options)


def all_files(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in Path(directory).rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "split",
    [
        Split(kind="time"),
        Split(kind="hash"),
        Split(kind="random"),
        Split(kind="last_per_user"),
    ],
    ids=lambda split: split.kind,
)
def test_nothing_of_valid_and_test_leaks(tmp_path, split):
    """Other rows in valid and test: every fitted value stays, to the last byte."""
    schema = Schema(
        [
            CategoricalFeature("word"),
            CategoricalFeature("hour", vocabulary_size=4),
            NumericFeature("price", transform=("log1p", "zscore"), num_buckets=None),
            NumericFeature("age", num_buckets=5),
        ],
        labels=[Label("click")],
        group_key="user",
        timestamp="time",
    )
    base = log_rows(150)
    outputs = []
    held_out = []  # what the first run does not train on
    for change in (False, True):
        rows = [
            {
                "word": f"w{number % 30}",
                "hour": number % 4,
                "price": number / 7,
                "age": float(number),
                "click": row["click"],
                "user": row["user"],
                "time": row["time"],
                "number": number,
            }
            for number, row in enumerate(base)
        ]
        for number in held_out:
            rows[number] |= {"word": f"leak{number}", "hour": 99, "click": 1}
            rows[number] |= {"price": 1e6, "age": -1e6}
        path = write_log(rows, tmp_path / "log.csv")
        numbered = Schema(
            [*schema.features, CategoricalFeature("number", vocabulary_size=150)],
            schema.labels,
            schema.group_key,
            schema.timestamp,
        )
        ids = run(path, tmp_path / f"ids{change}", schema=numbered, split=split)
        others = numbers_of(ids.directory, ("valid", "test"))
        assert len(others) > 10 and (not change or others == held_out)
        held_out = others
        outputs.append(run(path, tmp_path / f"out{change}", schema=schema, split=split))
    before, after = outputs
    assert before.manifest["rows"] == after.manifest["rows"]
    assert before.schema.fingerprint() == after.schema.fingerprint()
    files = [all_files(prepared.directory) for prepared in outputs]
    for name in ("statistics.json", "schema.json", "vocabularies/word.txt"):
        assert files[0][name] == files[1][name]
        assert b"leak" not in files[1][name]
    records = [records_of(prepared.directory, ["train"]) for prepared in outputs]
    assert sorted(records[0]) == sorted(records[1])
    assert any(b"leak" in data for name, data in files[1].items() if "test-" in name)


def records_of(directory, splits):
    import tensorflow as tf

    files = [str(p) for part in splits for p in sorted(directory.glob(f"{part}-*"))]
    return [record.numpy() for record in tf.data.TFRecordDataset(files)]


def numbers_of(directory, splits):
    import tensorflow as tf

    records = records_of(directory, splits)
    spec = {"number": tf.io.FixedLenFeature((), tf.int64)}
    return sorted(tf.io.parse_example(records, spec)["number"].numpy().tolist())


def test_the_folder_holds_what_is_said(tmp_path):
    rows = log_rows(150)
    rows[4]["click"] = "no"
    path = write_log(rows, tmp_path / "log.csv")
    split = Split(kind="time", fractions=(0.6, 0.2, 0.2))
    prepared = run(path, tmp_path / "out", split=split, max_bad_rows=2)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))
    assert not prepared.unchanged
    assert manifest == json.loads(json.dumps(prepared.manifest))
    files = all_files(prepared.directory)
    shards = [f"{part}-0000{i}-of-00002.tfrecord" for part in SPLITS for i in range(2)]
    assert set(files) == {
        *shards,
        "schema.json",
        "statistics.json",
        "manifest.json",
        "quarantine.jsonl",
        *(f"vocabularies/{table}.txt" for table in ("item", "place", "tags")),
    }
    assert set(manifest["files"]) == set(files) - {"manifest.json"}
    assert sum(manifest["rows"].values()) == 149
    for part in SPLITS:
        own = [manifest["files"][name] for name in shards if name.startswith(part)]
        assert sum(entry["rows"] for entry in own) == manifest["rows"][part]
    for name, entry in manifest["files"].items():
        assert entry["bytes"] == len(files[name])
    assert manifest["bad_rows"] == 1
    assert json.loads(files["quarantine.jsonl"])["line"] == 6
    assert manifest["inputs"][0]["bytes"] == path.stat().st_size
    assert manifest["versions"]["keras_recs"]
    statistics = json.loads(files["statistics.json"])
    assert statistics["rows"] == manifest["rows"]["train"]

    # The schema finds its vocabularies wherever the folder moves.
    moved = tmp_path / "moved"
    prepared.directory.rename(moved)
    schema = Schema.load(moved)
    assert schema == Schema.load(moved / "schema.json") and schema.is_fitted
    assert Path(schema.vocabularies["item"].path) == moved / "vocabularies/item.txt"
    assert "vocabularies/item.txt" in (moved / "schema.json").read_text("utf-8")


def test_training_reads_what_was_prepared(tmp_path):
    from keras_recs.data import tfrecord_dataset

    path = write_log(log_rows(100), tmp_path / "log.parquet")
    prepared = run(path, tmp_path / "out", split=Split(kind="random"), num_shards=3)
    for part in ("train", "test"):
        files = str(prepared.directory / f"{part}-*")
        dataset = tfrecord_dataset(files, prepared.schema, 8, with_group=True)
        seen = Counter()
        for inputs, labels, weights, group in dataset:
            seen["rows"] += int(group.shape[0])
            assert inputs["history"].shape[1] == 5
            assert set(labels) == {"click", "rating"} and "click" in weights
        assert seen["rows"] == prepared.manifest["rows"][part]


def test_result_does_not_depend_on_the_processes(tmp_path):
    path = write_log(log_rows(120), tmp_path / "log.jsonl")
    results = []
    for processes in (1, 3):
        split = Split(kind="last_per_user")
        prepared = run(
            path, tmp_path / f"{processes}", split=split, num_processes=processes
        )
        results.append(all_files(prepared.directory))
    assert results[0] == results[1]


def test_the_same_again_does_nothing(tmp_path):
    path = write_log(log_rows(40), tmp_path / "log.csv")
    output = tmp_path / "a" / "out"
    first = run(path, output)
    stamps = {file: file.stat().st_mtime_ns for file in output.rglob("*")}
    again = run(str(path), output, overwrite=True, num_processes=2)
    assert again.unchanged and again.manifest == json.loads(json.dumps(first.manifest))
    assert again.schema == first.schema
    assert {file: file.stat().st_mtime_ns for file in output.rglob("*")} == stamps
    # The input may move.
    moved = tmp_path / "moved.csv"
    path.rename(moved)
    assert run(moved, output).unchanged


def test_something_else_needs_overwrite_and_replaces_in_one_step(tmp_path):
    path = write_log(log_rows(40), tmp_path / "log.csv")
    output = tmp_path / "out"
    run(path, output)
    for options, message in [
        ({"split": Split(kind="random")}, "from something else: another split"),
        ({"num_shards": 5}, r"num_shards 2 is now 5.*overwrite=True \(--overwrite\)"),
        ({"compression": "GZIP"}, "compression None is now 'GZIP'"),
        ({"schema": log_schema(min_count=2)}, "another schema"),
        ({"max_bad_rows": 9}, "max_bad_rows 0 is now 9"),
        ({"raw_format": small_chunks(501)}, "another format"),
    ]:
        with pytest.raises(ValueError, match=message):
            run(path, output, **options)
    before = all_files(output)
    write_log(log_rows(41), path)
    with pytest.raises(ValueError, match="other input files"):
        run(path, output)
    os.truncate(output / "train-00000-of-00002.tfrecord", 5)
    with pytest.raises(ValueError, match=r"'train-00000-of-00002.tfrecord' is damaged"):
        run(path, output)
    broken = all_files(output)
    with path.open("a", encoding="utf-8") as file:
        file.write("bad\n")
    with pytest.raises(ValueError, match="line 43: 13 columns are expected"):
        run(path, output, overwrite=True)
    assert all_files(output) == broken, "a failed run leaves the old one"
    write_log(log_rows(40), path)
    replaced = run(path, output, overwrite=True)
    assert not replaced.unchanged
    after = all_files(output)
    assert set(after) == set(before)
    assert after["schema.json"] == before["schema.json"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log.csv", "out"]


def test_without_an_exchange_of_names_the_old_folder_is_moved_away(
    tmp_path, monkeypatch
):
    path = write_log(log_rows(10), tmp_path / "log.csv")
    run(path, tmp_path / "out")

    def absent(*arguments, **options):
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", absent)
    prepared = run(path, tmp_path / "out", overwrite=True, num_shards=3)
    assert len(list(prepared.directory.glob("train-*"))) == 3
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log.csv", "out"]


def test_folders_of_others_are_left_alone(tmp_path):
    path = write_log(log_rows(10), tmp_path / "log.csv")
    other = tmp_path / "home"
    other.mkdir()
    (other / "file").write_text("dear", "utf-8")
    (tmp_path / "plain").write_text("x", "utf-8")
    for output in (other, tmp_path / "plain"):
        with pytest.raises(ValueError, match=r"has no manifest\.json\. Move it away"):
            run(path, output, overwrite=True)
    (other / "manifest.json").write_text('{"files": {}}', "utf-8")
    with pytest.raises(ValueError, match="Move it away"):
        run(path, other, overwrite=True)
    (tmp_path / "empty").mkdir()
    assert not run(path, tmp_path / "empty").unchanged


def test_an_input_that_changes_meanwhile_is_noticed(tmp_path, monkeypatch):
    from keras_recs.preprocessing.fitting.fitter import Fitter

    path = write_log(log_rows(30), tmp_path / "log.csv")
    original, size = Fitter.add, path.stat().st_size

    def add(self, counts):
        if path.stat().st_size == size:
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")
        original(self, counts)

    monkeypatch.setattr(Fitter, "add", add)
    with pytest.raises(ValueError, match=r"log.csv' has changed while it was read"):
        run(path, tmp_path / "out")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log.csv"]


SLOW = """
import sys, time
from keras_recs.preprocessing.reading import chunk_task
from keras_recs.data.prepare import prepare
from keras_recs.data.split import Split
from tests.processes import all_ended, children_of
from tests.raw_logs import log_schema, small_chunks

def crawl(*arguments):
    for item in original(*arguments):
        yield item
        time.sleep(0.02)
original = chunk_task.read_chunks
chunk_task.read_chunks = crawl
prepare(sys.argv[1], log_schema(), sys.argv[2], raw_format=small_chunks(2000),
        split=Split(kind="random"), num_processes=2, overwrite=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_work_it_leaves_nothing_that_stays(tmp_path, number):
    rows = log_rows(600)
    path = write_log(rows, tmp_path / "log.csv")
    output = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(path), str(output)],
        cwd=ROOT,
        env={**os.environ, "KERAS_RECS_WITHOUT_KERAS": "1"},
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 40
        children = []
        while time.monotonic() < deadline and process.poll() is None:
            children = children_of(process.pid)
            written = sum(f.stat().st_size for f in tmp_path.glob(".out.*/new/train-*"))
            if len(children) == 2 and written:
                break
            time.sleep(0.01)
        assert process.poll() is None and len(children) == 2
        process.send_signal(number)
        process.wait(20)
        assert all_ended(children, 20), "workers end with their parent"
    finally:
        process.kill()
    assert not output.exists()
    left = [
        entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".out.")
    ]
    assert len(left) == (number == signal.SIGKILL)
    run(path, output)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log.csv", "out"]


@pytest.mark.parametrize("split", ["none", "last_per_user"])
def test_memory_does_not_grow_with_the_input(tmp_path, split):
    """Five times the rows, with as many new values, in one process."""
    peaks = {}
    for size in (3, 15):
        path = tmp_path / f"{size}.tsv"
        with path.open("w", encoding="utf-8") as file:
            file.write("item\tuser\tprice\tclick\ttime\n")
            for number in range(12_000 * size):
                file.write(f"i{number}\tu{number // 4}\t{number}.5\t1\t{number}\n")
        code = (
            "import sys\n"
            "from keras_recs import CategoricalFeature, Label, NumericFeature, Schema\n"
            "from keras_recs.preprocessing.fitting import fitter\n"
            "from keras_recs.data.prepare import prepare\n"
            "module = sys.modules[prepare.__module__]\n"
            "from keras_recs.data.split import Split\n"
            "from keras_recs.preprocessing.reading.raw_format import RawFormat\n"
            "fitter._COUNT_BYTES = fitter._MERGE_BYTES = module._MEMORY_BYTES = 200_000\n"
            "schema = Schema([CategoricalFeature('item'), NumericFeature('price')],\n"
            "    [Label('click')], group_key='user', timestamp='time')\n"
            "prepare(sys.argv[1], schema, sys.argv[1] + '.out', num_processes=1,\n"
            "    split=Split(kind=sys.argv[2]), raw_format=RawFormat(chunk_bytes=50_000))\n"
            "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(path), split],
            cwd=ROOT,
            env={**os.environ, "KERAS_RECS_WITHOUT_KERAS": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        peaks[size] = int(done.stdout) / 1024
    assert peaks[15] < peaks[3] + 15, f"MiB: {peaks}"
    assert peaks[15] < 300


def test_progress_shows_rows_and_rate(tmp_path, capsys):
    path = write_log(log_rows(50), tmp_path / "log.csv")
    run(path, tmp_path / "out", split=Split(kind="time"), progress=True)
    shown = capsys.readouterr().err
    assert "find cut-offs: 100%" in shown and "fit and write: 100%" in shown
    assert "50 rows" in shown and "rows/s" in shown


def test_two_at_once_do_not_disturb_each_other(tmp_path):
    path = write_log(log_rows(80), tmp_path / "log.csv")
    errors = []

    def work(name):
        try:
            run(path, tmp_path / name)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors
    assert all_files(tmp_path / "a") == all_files(tmp_path / "b")


def test_vocabularies_of_the_training_split_are_counted_exactly(tmp_path):
    rows = log_rows(200, seed=5)
    path = write_log(rows, tmp_path / "log.csv")
    cut = sorted(row["time"] for row in rows)[100]
    split = Split(kind="time", cut_offs=(cut, cut + 20))
    prepared = run(path, tmp_path / "out", split=split)
    train = [row for row in rows if row["time"] < cut]
    counts = Counter(values_of(train, "item") + values_of(train, "history"))
    expected = sorted(counts, key=lambda v: (-counts[v], v.encode()))
    file = prepared.directory / "vocabularies" / "item.txt"
    assert file.read_text("utf-8").splitlines() == expected
    assert prepared.manifest["rows"]["train"] == len(train)
