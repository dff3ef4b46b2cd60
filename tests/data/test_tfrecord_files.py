"""Which files there are, how many records they hold, and their health."""

import gzip
import json

import pytest

from keras_recs.data.manifest_damage import manifest_damage
from keras_recs.data.tfrecord_files import count_records, find_damage, list_files
from tests import samples

RECORDS = [b"", b"a", b"x" * 1000, b"last"]


@pytest.fixture
def file(tmp_path):
    return samples.write_records(tmp_path / "train-0.tfrecord", RECORDS)


def test_list_files(tmp_path):
    for name in ("b.tfrecord", "a.tfrecord", "c.other"):
        (tmp_path / name).touch()
    (tmp_path / "d.tfrecord").mkdir()
    a, b = (str(tmp_path / f"{n}.tfrecord") for n in "ab")
    assert list_files(str(tmp_path / "*.tfrecord")) == [a, b]
    assert list_files(tmp_path / "a.tfrecord") == [a]
    assert list_files([b, str(tmp_path / "*.tfrecord")]) == [b, a]
    with pytest.raises(ValueError, match=r"'.*gone\*', which matches no file"):
        list_files([a, str(tmp_path / "gone*")])
    with pytest.raises(ValueError, match=r"matches no file"):
        list_files(tmp_path)  # a folder is no file


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_count(tmp_path, suffix):
    path = samples.write_records(tmp_path / f"x.tfrecord{suffix}", RECORDS)
    assert count_records(path).num_records == 4
    assert count_records(path).compression == ("GZIP" if suffix else "")
    assert find_damage(path) is None
    empty = samples.write_records(tmp_path / f"empty.tfrecord{suffix}", [])
    assert count_records(empty).num_records == 0
    assert find_damage(empty) is None


def test_a_file_of_no_bytes_is_an_empty_one(tmp_path):
    path = tmp_path / "none.tfrecord"
    path.touch()
    assert count_records(str(path)).num_records == 0
    assert find_damage(str(path)) is None


@pytest.mark.parametrize("record", range(4))
@pytest.mark.parametrize("cut", [1, 8, 11, 13, 15])
def test_a_cut_file_names_the_record_and_its_offset(file, record, cut):
    """Cut in the length, its checksum, the data, and their checksum."""
    offset = samples.record_offsets(file)[record]
    with open(file, "r+b") as handle:
        handle.truncate(offset + cut)
    message = rf"'{file}': the record at byte {offset} \(number {record}\) is cut off; the file has {offset + cut} bytes.*skip_file"
    with pytest.raises(ValueError, match=message):
        count_records(file)
    assert f"at byte {offset}" in find_damage(file)


@pytest.mark.parametrize("record", range(4))
@pytest.mark.parametrize("place", [0, 3, 7, 8, 11, 12, -1])
def test_a_flipped_bit_is_found_anywhere(file, record, place):
    """In the length (low and high bytes), its checksum, the data, their checksum."""
    offsets = [*samples.record_offsets(file), sum(len(r) + 16 for r in RECORDS)]
    start, end = offsets[record], offsets[record + 1]
    samples.flip_bit(file, end - 1 if place == -1 else start + place)
    damage = find_damage(file)
    assert damage is not None
    assert file in damage


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.9, -1, -8])
@pytest.mark.parametrize("record", [b"abc" * 50, bytes(range(256))])
def test_a_cut_gzip_file(tmp_path, record, keep):
    """TensorFlow takes the end of a cut stream for the end of the data."""
    file = tmp_path / "x.tfrecord.gz"
    path = samples.write_records(file, [record] * 40)
    assert count_records(path).num_records == 40
    whole = file.read_bytes()
    file.write_bytes(whole[: keep if keep < 0 else int(keep * len(whole))])
    message = r"Damaged TFRecord file .*x.tfrecord.gz' after record \d+: .*skip_file"
    with pytest.raises(ValueError, match=message):
        count_records(path)
    assert path in find_damage(path)


@pytest.mark.parametrize("position", [0.3, 0.5, 0.9])
def test_a_flipped_bit_in_a_gzip_file(tmp_path, position):
    path = samples.write_records(tmp_path / "x.tfrecord.gz", [bytes(range(256))] * 40)
    size = (tmp_path / "x.tfrecord.gz").stat().st_size
    samples.flip_bit(path, int(position * size))
    assert path in find_damage(path)


def test_a_gzip_file_of_cut_records(tmp_path):
    path = samples.write_records(tmp_path / "x.tfrecord.gz", [b"abc"] * 3)
    inside = samples.gunzip(path)
    for cut in (1, 4, 11, 15, 18):
        with gzip.open(path, "wb") as file:
            file.write(inside[:-cut])
        with pytest.raises(
            ValueError, match="after record 2: the last record is cut off"
        ):
            count_records(path)


def test_a_manifest_is_believed_while_the_size_fits(tmp_path, file):
    manifest = tmp_path / "manifest.json"

    def write(**entry):
        manifest.write_text(json.dumps({"files": {"train-0.tfrecord": entry}}))

    size = sum(len(r) + 16 for r in RECORDS)
    write(bytes=size, rows=77)
    assert manifest_damage(file, [file]) == ({file: 77}, [])
    assert find_damage(file, 77) == f"'{file}' ends after record 4 of 77."
    write(bytes=size + 1, rows=77)
    records, (damage,) = manifest_damage(file, [file])
    assert (records, damage.path, damage.records) == ({}, file, 77)
    for text in (
        "",
        "[]",
        "{}",
        '{"files": {}}',
        '{"files": {"train-0.tfrecord": {}}}',
    ):
        manifest.write_text(text)
        assert manifest_damage(file, [file]) == ({}, []), "one of something else"


def test_a_pattern_over_two_sets_of_shards_is_a_warning(tmp_path, caplog):
    for name in ("train", "train-extra"):
        (tmp_path / f"{name}-00000-of-00001.tfrecord").touch()
    assert len(list_files(tmp_path / "train-*")) == 2
    assert "matches the shards of 2 sets of files" in caplog.text


def test_a_gap_in_the_numbers_is_a_warning(tmp_path, caplog):
    """Without a manifest there is no more than the names."""
    for shard in (0, 1, 3):
        (tmp_path / f"train-{shard:05d}-of-00005.tfrecord.gz").touch()
    list_files(tmp_path / "train-0000[013]-*")
    list_files([tmp_path / "train-00000-of-00005.tfrecord.gz"])
    assert caplog.text == ""
    list_files(tmp_path / "train-*")
    assert "matches 3 of the 5 shards of 'train'" in caplog.text
    assert "not there is 'train-00002-of-00005.tfrecord.gz'" in caplog.text


def test_a_left_over_set_of_another_number_is_a_warning(tmp_path, caplog):
    for name in ("train-00000-of-00001", "train-00000-of-00002"):
        (tmp_path / f"{name}.tfrecord").touch()
    list_files(tmp_path / "train-*")
    assert "matches the shards of 2 sets of files" in caplog.text
    assert "train-*-of-00002" in caplog.text
