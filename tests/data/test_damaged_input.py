"""TFRecord files damaged at every byte: an error or an exact count, never fewer rows."""

import contextlib
import json
import logging
import os
import re
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from keras_recs import Label, NumericFeature, Schema
from keras_recs.data import prepare, tfrecord_dataset, write_tfrecords
from keras_recs.data.manifest_damage import manifest_damage
from keras_recs.data.record_blocks import record_blocks
from keras_recs.data.tfrecord_files import TFRecordFile, count_records, find_damage
from tests import samples

SCHEMA = Schema([NumericFeature("x")], [Label("y", task="regression")])
COMPRESSIONS = [None, "GZIP"]


def write_set(folder, rows, num_shards=2, first=0, **options):
    """Shards of consecutive numbers; records are small, and all of one size."""
    folder.mkdir(exist_ok=True)
    log = folder / "log.csv"
    lines = [f",{number}" for number in range(first, first + rows)]
    log.write_text("x,y\n" + "\n".join(lines) + "\n", "utf-8")
    options = {"num_processes": 1, **options}
    written = write_tfrecords(
        log, SCHEMA, folder / "train", num_shards=num_shards, **options
    )
    return list(map(Path, written))


def dataset_of(files, **options):
    return tfrecord_dataset(files, SCHEMA, 4, **{"shuffle": False, **options})


def numbers(dataset):
    return [int(n) for batch in dataset for n in batch[1]["y"].numpy()[:, 0]]


@tf.function(
    input_signature=[
        tf.TensorSpec([], tf.string),
        tf.TensorSpec([], tf.string),
        tf.TensorSpec([], tf.int64),
    ]
)
def records_read(path, compression, num_records):
    """The records of a file as training reads them, without the rest of the road."""
    blocks = record_blocks(path, compression, num_records)
    empty = tf.constant([], tf.string)
    return blocks.reduce(empty, lambda all, block: tf.concat([all, block], 0))


def outcome(path, num_records=None):
    """The file's records, or the message of the error, which must name it."""
    try:
        file = TFRecordFile(str(path), num_records)
        if num_records is None:
            file = count_records(str(path))
        return records_read(file.path, file.compression, file.num_records).numpy()
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        assert str(path) in str(error)
        assert "on_damage" in str(error)
        return str(error)


def counted(path):
    """The records of a file that nothing lists, or `None` where that is an error."""
    try:
        return count_records(str(path)).num_records
    except ValueError as error:
        assert f"Damaged TFRecord file '{path}'" in str(error)
        return None


@pytest.fixture(params=COMPRESSIONS, ids=["plain", "gzip"])
def shards(request, tmp_path):
    """Two shards of three records, with their manifest."""
    return write_set(tmp_path / "set", 6, compression=request.param)


# === Cut at every byte ===


def test_every_cut_of_a_listed_shard_is_named(shards):
    """Between two records, and of a gzip file between two members, no less."""
    path, manifest = shards[1], shards[1].parent / "manifest-train.json"
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        message = (
            rf"Damaged TFRecord file '{path}': '{manifest}' lists it with 3 records in "
            rf"{len(whole)} bytes, but it has {size} bytes\. Write it again, or .*skip"
        )
        with pytest.raises(ValueError, match=message):
            dataset_of(path.parent / "train-*")
    path.write_bytes(whole)
    assert numbers(dataset_of(path.parent / "train-*")) == list(range(6))


def test_every_cut_of_an_unlisted_file_is_named(tmp_path):
    """Where nothing lists it, a cut between two records gives the records before it."""
    (path,) = write_set(tmp_path, 3, num_shards=1)
    (tmp_path / "manifest-train.json").unlink()
    whole = path.read_bytes()
    records = list(outcome(path))
    ends = [0, *samples.record_offsets(path)[1:], len(whole)]
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        found = outcome(path)
        if size in ends:
            assert list(found) == records[: ends.index(size)], size
        else:
            start = max(end for end in ends if end < size)
            cut = f"the record at byte {start} (number {ends.index(start)}) is cut off"
            assert cut in found, size


def test_every_cut_of_an_unlisted_gzip_file_is_named(tmp_path):
    (path,) = write_set(tmp_path, 3, num_shards=1, compression="GZIP")
    (tmp_path / "manifest-train.json").unlink()
    whole = path.read_bytes()
    path.write_bytes(whole + whole)  # two members
    records = list(outcome(path))
    assert len(records) == 6
    for size in range(2 * len(whole)):
        path.write_bytes((whole + whole)[:size])
        found = outcome(path)
        if size in (0, len(whole)):
            assert list(found) == records[: 3 * size // len(whole)], size
        else:
            after = "[3-6]" if size > len(whole) else "[0-3]"
            assert re.search(f"'{path}' after record {after}: ", found), size


# === A flipped bit at every byte ===


def test_every_flipped_bit_is_found(tmp_path):
    """Of the length, its checksum, the data and their checksum."""
    (path,) = write_set(tmp_path, 2, num_shards=1)
    whole = path.read_bytes()
    assert len(outcome(path)) == 2
    for position in range(len(whole)):
        samples.flip_bit(path, position)
        before = 2 * position // len(whole)
        found = outcome(path, 2)
        assert isinstance(found, str), position
        assert f"[after record] [{before}] [of] [2]" in found, position
        # Unlisted, it is counted: another number than can be read, or an error.
        assert counted(path) != before, position
        path.write_bytes(whole)


def test_a_flipped_bit_of_a_gzip_file_loses_nothing_silently(tmp_path):
    """Its header has bytes that mean nothing, and the records checksums of their own."""
    (path,) = write_set(tmp_path, 1, num_shards=1, compression="GZIP")
    member = path.read_bytes()
    path.write_bytes(member + member)
    records = list(outcome(path))
    assert len(records) == 2
    harmless, uncounted = set(), set()
    for position in range(len(member) + 10):  # the second one's header, too
        samples.flip_bit(path, position)
        found = outcome(path, 2)
        if not isinstance(found, str):
            assert list(found) == records, position
            harmless.add(position % len(member))
        if counted(path) is None:
            uncounted.add(position % len(member))
        else:
            assert counted(path) == 2, position
        path.write_bytes(member + member)
    meaningless = {4, 5, 6, 7, 8, 9}  # the time, the system
    end = set(range(len(member) - 12, len(member)))  # after the data: its checksum
    assert harmless <= meaningless | end
    assert set(range(len(member))) - uncounted <= meaningless | {len(member) - 9}


@pytest.mark.parametrize("shuffle", [False, True])
def test_training_stops_at_a_flipped_bit(shards, shuffle):
    """In the length, its checksum, the data and theirs; made before and after."""
    path, files = shards[1], shards[0].parent / "train-*"
    whole = path.read_bytes()
    dataset = dataset_of(files, shuffle=shuffle)
    assert sorted(numbers(dataset)) == list(range(6))
    plain = path.suffix == ".tfrecord"
    for place in (0, 9, 14, len(whole) - 1) if plain else (0, 14):
        samples.flip_bit(path, place)
        with pytest.raises(tf.errors.InvalidArgumentError, match=str(path)):
            numbers(dataset)
        path.write_bytes(whole)
    samples.flip_bit(path, 14)
    with pytest.raises(tf.errors.InvalidArgumentError, match=str(path)):
        numbers(dataset_of(files, shuffle=shuffle))


# === Files that are skipped are counted ===


def many_shards(tmp_path):
    """One shard a byte of a shard, a record each, and one more."""
    probe = write_set(tmp_path / "probe", 1, num_shards=1)[0].stat().st_size
    return write_set(tmp_path / "set", probe + 1, num_shards=probe + 1)


def skipped(shards, caplog):
    """What is left with `skip_file`; all shards but the last must be reported."""
    with caplog.at_level(logging.WARNING):
        caplog.clear()
        dataset = dataset_of(shards[0].parent / "train-*", on_damage="skip_file")
    lost = len(shards) - 1
    for shard in shards[:-1]:
        assert caplog.text.count("Skipped a file, 1 records. ") == lost
        assert f"'{shard}'" in caplog.text
    total = f"{lost} of {lost + 1} TFRecord files are skipped, with {lost} records"
    assert total in caplog.text
    return numbers(dataset)


def test_shards_damaged_at_each_byte_are_skipped_and_counted(tmp_path, caplog):
    shards = many_shards(tmp_path)
    for position, shard in enumerate(shards[:-1]):
        samples.flip_bit(shard, position)
    last = numbers(dataset_of(shards[-1]))
    assert len(last) == 1
    assert skipped(shards, caplog) == last


def test_shards_cut_at_each_byte_are_skipped_and_counted(tmp_path, caplog):
    shards = many_shards(tmp_path)
    last = numbers(dataset_of(shards[-1]))
    for size, shard in enumerate(shards[:-1]):
        os.truncate(shard, size)
    assert skipped(shards, caplog) == last


def test_missing_empty_cut_and_flipped_shards_are_counted(shards, tmp_path, caplog):
    compression = "GZIP" if shards[0].suffix == ".gz" else None
    folder = tmp_path / "more"
    shards = write_set(folder, 13, num_shards=5, compression=compression)
    rows = [counted(shard) for shard in shards]
    kept = numbers(dataset_of(shards[2]))
    assert len(kept) == rows[2] and sum(rows) == 13
    shards[0].unlink()
    shards[1].write_bytes(b"")
    os.truncate(shards[3], 30)
    samples.flip_bit(shards[4], 20)
    with caplog.at_level(logging.WARNING):
        dataset = dataset_of(folder / "train-*", on_damage="skip_file")
    lost = sum(rows) - rows[2]
    assert f"4 of 5 TFRecord files are skipped, with {lost} records" in caplog.text
    assert numbers(dataset) == kept


def test_what_no_manifest_lists_is_of_unknown_number(tmp_path, caplog):
    shards = write_set(tmp_path, 6)
    (tmp_path / "manifest-train.json").unlink()
    samples.flip_bit(shards[0], 20)
    with caplog.at_level(logging.WARNING):
        dataset_of(tmp_path / "train-*", on_damage="skip_file")
    assert "Skipped a file, an unknown number of records." in caplog.text
    assert "with 0 records and those of 1 files that no manifest lists" in caplog.text


# === Missing, empty and left-over shards ===


@pytest.mark.parametrize("number", range(3))
def test_a_missing_shard_is_named(tmp_path, number):
    folder = tmp_path / "a"
    shards = write_set(folder, 10, num_shards=3)
    rows = counted(shards[number])
    shards[number].unlink()
    manifest = folder / "manifest-train.json"
    message = re.escape(
        f"TFRecord file '{shards[number]}' is missing: '{manifest}' lists it with "
        f"{rows} records. Put it back, write"
    )
    for files in (folder / "train-*", [folder / "t*.tfrecord"], tmp_path / "*/train-*"):
        with pytest.raises(ValueError, match=message):
            dataset_of(files)
        for worker in range(2):  # each, not only the one that would read it
            with pytest.raises(ValueError, match=message):
                dataset_of(files, num_workers=2, worker_index=worker)
    # A list of names means these and no more.
    left = [shard for shard in shards if shard.exists()]
    assert len(numbers(dataset_of(left))) == 10 - rows
    with pytest.raises(ValueError, match="matches no file"):
        dataset_of(shards)


def test_paths_may_be_relative(tmp_path, monkeypatch):
    shards = write_set(tmp_path, 6)
    monkeypatch.chdir(tmp_path)
    assert numbers(dataset_of("train-*")) == list(range(6))
    shards[0].unlink()
    for files in ("train-*", "./train-*"):
        with pytest.raises(ValueError, match=f"{shards[0].name}' is missing"):
            dataset_of(files)


def test_all_shards_of_a_folder_are_missing(tmp_path):
    for day in "ab":
        shards = write_set(tmp_path / day, 6)
    for shard in shards:
        shard.unlink()
    with pytest.raises(ValueError, match=r"b/train-00000.*missing.* 1 more files are"):
        dataset_of(tmp_path / "*" / "train-*")


def test_two_sets_in_a_folder_do_not_know_of_each_other(tmp_path):
    write_set(tmp_path, 6)
    log = tmp_path / "log.csv"
    write_tfrecords(log, SCHEMA, tmp_path / "valid", num_shards=1, num_processes=1)
    for shard in tmp_path.glob("train-*"):
        shard.unlink()
    assert numbers(dataset_of(tmp_path / "valid-*")) == list(range(6))
    with pytest.raises(ValueError, match=r"train-00000-of-00002.* is missing"):
        dataset_of(tmp_path / "*.tfrecord")


def test_an_empty_shard_that_was_always_empty_is_none_that_was_emptied(tmp_path):
    shards = write_set(tmp_path, 1, num_shards=2)
    assert numbers(dataset_of(tmp_path / "train-*")) == [0]
    (full,) = (shard for shard in shards if shard.stat().st_size)
    full.write_bytes(b"")
    with pytest.raises(ValueError, match=r"1 records in .* bytes, but it has 0 b"):
        dataset_of(tmp_path / "train-*")


def test_left_over_shards_are_refused(tmp_path, caplog):
    write_set(tmp_path, 6)
    old = tmp_path / "train-00002-of-00003.tfrecord"
    shutil.copy(tmp_path / "train-00001-of-00002.tfrecord", old)
    with pytest.raises(ValueError, match=f"'{old}' is not of the set .*Remove what"):
        dataset_of(tmp_path / "train-*")
    dataset = dataset_of(tmp_path / "train-*", on_damage="skip_file")
    assert numbers(dataset) == list(range(6))
    assert "1 of 3 TFRecord files are skipped, with 0 records" in caplog.text


def test_shards_of_prepare_are_compared_with_its_manifest(tmp_path):
    write_set(tmp_path, 6)
    folder = tmp_path / "prepared"
    prepare(tmp_path / "log.csv", SCHEMA, folder, num_shards=3, num_processes=1)
    assert sorted(numbers(dataset_of(folder / "train-*"))) == list(range(6))
    shard = folder / "train-00001-of-00003.tfrecord"
    os.truncate(shard, samples.record_offsets(shard)[1])
    with pytest.raises(ValueError, match=f"{shard}': '{folder}/manifest.json' lists"):
        dataset_of(folder / "train-*")
    shard.unlink()
    with pytest.raises(ValueError, match=f"{shard}' is missing: '{folder}/manifest.j"):
        dataset_of(folder / "train-*")
    # Written over, the newer manifest holds.
    log = tmp_path / "log.csv"
    options = {"num_shards": 1, "num_processes": 1, "overwrite": True}
    write_tfrecords(log, SCHEMA, folder / "train", **options)
    assert numbers(dataset_of(folder / "train-*")) == list(range(6))


# === Changed between listing and reading ===


def test_a_file_that_changes_after_it_was_listed(shards):
    path = shards[1]
    whole = path.read_bytes()
    dataset = dataset_of(path.parent / "train-*")
    for changed in (b"", whole[: len(whole) // 3], whole[:-15], whole + whole):
        path.write_bytes(changed)
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"{path}.*skip_file"):
            numbers(dataset)


def test_a_file_that_goes_after_it_was_listed(shards):
    """TensorFlow tries to open it again for ever where errors are passed over."""
    dataset = dataset_of(shards[0].parent / "train-*", shuffle=True)
    shards[1].unlink()
    with pytest.raises(tf.errors.NotFoundError, match=str(shards[1])):
        numbers(dataset)


def test_a_file_that_is_gone_when_it_is_counted(tmp_path):
    for name in ("x.tfrecord", "x.tfrecord.gz"):
        message = f"TFRecord file '{tmp_path / name}' cannot be read: .*Put it back"
        with pytest.raises(ValueError, match=message):
            count_records(str(tmp_path / name))
        assert re.match(message, find_damage(str(tmp_path / name)))


GARBAGE = [bytes(7), bytes(64), b"\n", b"text" * 9]


@pytest.mark.parametrize("garbage", GARBAGE, ids=repr)
def test_garbage_at_the_end(shards, garbage):
    path = shards[0]
    whole = path.read_bytes()
    records = list(outcome(path))
    path.write_bytes(whole + garbage)
    size = f"bytes, but it has {len(whole) + len(garbage)} bytes"
    with pytest.raises(ValueError, match=size):
        dataset_of(path.parent / "train-*")
    (path.parent / "manifest-train.json").unlink()
    found = outcome(path)
    if path.suffix == ".gz" and not any(garbage):
        assert list(found) == records  # as gzip has it: padding
    else:
        assert isinstance(found, str)
        assert find_damage(str(path)) is not None
    found = outcome(path, 3)  # appended after it was counted
    assert isinstance(found, str) or list(found) == records


# === The manifest itself ===


def manifest_outcome(folder, paths):
    """Whether a manifest is refused, or else how many records it says there are."""
    try:
        records, damage = manifest_damage(folder / "train-*", list(map(str, paths)))
    except ValueError as error:
        assert str(folder / "manifest-train.json") in str(error)
        assert "again" in str(error)
        return "refused"
    if damage:
        assert any(str(path) in damage[0].message for path in folder.iterdir())
        return "differs"
    return [records.get(str(path)) for path in paths]


def test_a_manifest_cut_at_every_byte_is_refused(tmp_path):
    shards = write_set(tmp_path, 7)
    manifest = tmp_path / "manifest-train.json"
    text = manifest.read_bytes()
    assert manifest_outcome(tmp_path, shards) == [3, 4]
    for size in range(len(text.rstrip())):
        manifest.write_bytes(text[:size])
        assert manifest_outcome(tmp_path, shards) == "refused", size
    with pytest.raises(ValueError, match="damaged: it does not list all files of 'tr"):
        dataset_of(tmp_path / "train-*")


def test_a_flipped_bit_of_a_manifest_hides_nothing(tmp_path):
    """A number of records that is wrong shows when the file ends before or after it."""
    shards = write_set(tmp_path, 7)
    manifest = tmp_path / "manifest-train.json"
    text = manifest.read_bytes()
    wrong_counts = 0
    for position in range(len(text)):
        for bit in range(8):
            data = bytearray(text)
            data[position] ^= 1 << bit
            manifest.write_bytes(data)
            found = manifest_outcome(tmp_path, shards)
            if found in ("refused", "differs", [3, 4]):
                continue
            assert None not in found, (position, bit)
            wrong_counts += 1
            outcomes = [outcome(*pair) for pair in zip(shards, found)]
            assert any(isinstance(item, str) for item in outcomes), (position, bit)
    assert wrong_counts > 4


def test_manifests_of_others_are_passed_over(tmp_path):
    """Files without a manifest are read as ever."""
    shards = write_set(tmp_path, 6)
    manifest = tmp_path / "manifest-train.json"
    for other in ("manifest.json", "manifest-v2.json", "manifest-.json"):
        for text in ("", "[]", "{", '{"files": 7}', '{"files": {"a": 1}}', '"x"'):
            (tmp_path / other).write_text(text, "utf-8")
            assert manifest_outcome(tmp_path, shards) == [3, 3]
    manifest.unlink()
    assert manifest_outcome(tmp_path, shards) == [None, None]
    assert numbers(dataset_of(tmp_path / "train-*")) == list(range(6))
    for shard in shards:
        os.rename(shard, tmp_path / f"part-{shard.name[6:11]}")
    assert numbers(dataset_of(tmp_path / "part-*")) == list(range(6))


def test_a_glob_of_all_files_passes_over_the_manifest(tmp_path):
    """Data sets that were read so before they had one still are."""
    shards = write_set(tmp_path, 6)
    (tmp_path / "log.csv").unlink()
    assert numbers(dataset_of(tmp_path / "*")) == list(range(6))
    shards[1].unlink()
    with pytest.raises(ValueError, match=f"{shards[1]}' is missing"):
        dataset_of(tmp_path / "*")


def test_what_a_manifest_holds(tmp_path):
    (tmp_path / "log.csv").write_text("x,y\n1,2\nbad,3\n4,5\n", "utf-8")
    written = write_tfrecords(
        tmp_path / "log.csv", SCHEMA, tmp_path / "t", max_bad_rows=1, num_processes=1
    )
    value = json.loads((tmp_path / "manifest-t.json").read_text("utf-8"))
    assert value == {
        "format": 1,
        "complete": True,
        "bad_rows": 1,
        "files": {
            os.path.basename(path): {"rows": rows, "bytes": os.path.getsize(path)}
            for path, rows in written.items()
        },
    }
    assert sum(written.values()) == 2


# === Killed while writing ===


class Killed(BaseException):
    """Passes through every `except Exception`."""


def kill_at(monkeypatch, step):
    """Lets the process die at its n-th change of a file's name."""
    left = [step]

    def dying(function):
        def call(*args, **kwargs):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(os, "replace", dying(os.replace))
    monkeypatch.setattr(Path, "unlink", dying(Path.unlink))


@pytest.mark.parametrize("num_shards", [2, 3])
def test_a_set_that_is_overwritten_is_old_or_new_or_refused(
    tmp_path, monkeypatch, num_shards
):
    """All shards are of one size, so that sizes would not tell."""
    old, new = list(range(100, 112)), list(range(200, 212))
    seen = []
    for step in range(20):
        write_set(tmp_path, 12, num_shards=3, first=100, overwrite=True)
        with monkeypatch.context() as patch:
            kill_at(patch, step)
            alive = False
            with contextlib.suppress(Killed):
                write_set(tmp_path, 12, num_shards, first=200, overwrite=True)
                alive = True
        try:
            seen.append(numbers(dataset_of(tmp_path / "train-*")))
        except ValueError as error:
            assert "not all put in their place" in str(error)
            assert "overwrite=True" in str(error)
            seen.append("refused")
        if alive:
            break
    kinds = [{str(old): "old", str(new): "new"}.get(str(item), item) for item in seen]
    steps = 1 + num_shards + 3 * (num_shards == 2)
    assert kinds == ["old", *["refused"] * steps, "new"]


def test_a_set_that_was_not_finished_is_not_in_the_way(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, 1)  # the manifest is there, no shard is
        with pytest.raises(Killed):
            write_set(tmp_path, 6)
    with pytest.raises(ValueError, match="matches no file"):
        dataset_of(tmp_path / "train-*")
    write_set(tmp_path, 6)
    assert numbers(dataset_of(tmp_path / "train-*")) == list(range(6))
    with pytest.raises(ValueError, match="`prefix` must be new"):
        write_set(tmp_path, 6)
