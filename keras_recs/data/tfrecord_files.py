"""Which TFRecord files there are, how many records each holds, and their health."""

from __future__ import annotations

import dataclasses
import fnmatch
import glob
import gzip
import logging
import mmap
import os
import struct
import zlib
from collections.abc import Sequence

from keras_recs.data.shard_manifest import is_manifest, shard_set

_HEADER = struct.Struct("<Q")
_RECORD_OVERHEAD = 16  # length, its checksum, the data's checksum


@dataclasses.dataclass(frozen=True)
class TFRecordFile:
    """A TFRecord file and the number of records in it."""

    path: str
    num_records: int

    @property
    def compression(self) -> str:
        """As `tf.data.TFRecordDataset` takes it."""
        return "GZIP" if self.path.endswith(".gz") else ""


def list_files(files: str | os.PathLike | Sequence[str | os.PathLike]) -> list[str]:
    """Paths that a path, a glob, or a list of them stand for, sorted.

    The manifests beside TFRecord files are passed over.

    Raises:
        ValueError: if there is no pattern, or one matches nothing.
    """
    patterns = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    paths: list[str] = []
    if not patterns:
        raise ValueError("`files` must name at least one TFRecord file. Received: []")
    for pattern in patterns:
        found = sorted(glob.glob(os.fspath(pattern)))
        found = [p for p in found if os.path.isfile(p) and not is_manifest(p)]
        if not found:
            raise ValueError(
                "`files` must be existing TFRecord files or patterns of them. "
                f"Received: '{os.fspath(pattern)}', which matches no file. "
                "`python -m pipelines.prepare` writes <output>/train-*.tfrecord."
            )
        _warn_of_sets(os.fspath(pattern), found)
        paths += found
    return list(dict.fromkeys(paths))


def _warn_of_sets(pattern: str, found: list[str]) -> None:
    """Names alone may tell that a file is missing, or one too many."""
    sets: dict[tuple[str, str, int], set[str]] = {}
    for path in found:
        folder, file = os.path.split(path)
        of_set = shard_set(file)
        if of_set is not None:
            sets.setdefault((folder, *of_set), set()).add(file)
    if len(sets) > 1:
        names = [f"{os.path.join(f, name)}-*-of-{n:05d}" for f, name, n in sets]
        logging.warning(
            "'%s' matches the shards of %d sets of files: %s. Is each of them meant?",
            pattern,
            len(sets),
            sorted(names),
        )
    for (folder, name, number), files in sets.items():
        ending = min(files).partition(f"-of-{number:05d}")[2]
        all_files = [f"{name}-{i:05d}-of-{number:05d}{ending}" for i in range(number)]
        wanted = fnmatch.filter(all_files, os.path.basename(pattern))
        missing = sorted(set(wanted) - files)
        if missing:
            logging.warning(
                "'%s' matches %d of the %d shards of '%s' in '%s'; the first that is "
                "not there is '%s'.",
                pattern,
                len(wanted) - len(missing),
                len(wanted),
                name,
                folder,
                missing[0],
            )


def count_records(path: str) -> TFRecordFile:
    """Counts the records of a file.

    The record lengths are walked, which reads no data where it is not compressed.

    Raises:
        ValueError: for a file that cannot be read, is cut off or whose lengths do not
            add up; the file and the offset are named.
    """
    if path.endswith(".gz"):
        return TFRecordFile(path, _count_compressed(path))
    try:
        count, position, size = _walk(path)
    except OSError as error:
        raise ValueError(_unreadable(path, error)) from error
    if position != size:
        raise ValueError(
            f"Damaged TFRecord file '{path}': the record at byte {position} "
            f"(number {count}) is cut off; the file has {size} bytes. Write it again, "
            'or leave it out with `on_damage="skip_file"`.'
        )
    return TFRecordFile(path, count)


def _unreadable(path: str, error: OSError) -> str:
    return (
        f"TFRecord file '{path}' cannot be read: {error}. Put it back, write it again, "
        'or leave it out with `on_damage="skip_file"`.'
    )


def _walk(path: str) -> tuple[int, int, int]:
    """Number of whole records, the byte at which they end, and that of the file."""
    count = position = 0
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return 0, 0, 0
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            size = len(view)
            while position + _HEADER.size <= size:
                (length,) = _HEADER.unpack_from(view, position)
                if position + length + _RECORD_OVERHEAD > size:
                    break
                position += length + _RECORD_OVERHEAD
                count += 1
    return count, position, size


def find_damage(path: str, num_records: int | None = None) -> str | None:
    """Reads a whole file with its checksums; says what is wrong, or `None`.

    Args:
        path: string.
        num_records: int. How many records it must have. Defaults to `None`: as many
            as `count_records` finds.
    """
    import tensorflow as tf

    try:
        expected = num_records
        if expected is None:
            expected = count_records(path).num_records
        data = tf.data.TFRecordDataset(path, TFRecordFile(path, 0).compression, 1 << 20)
        found = sum(int(tf.size(block)) for block in data.batch(4096))
    except ValueError as error:
        return str(error)
    except tf.errors.OpError as error:
        return f"'{path}': {error.message.split('}} ')[-1]}"
    if found != expected:
        return f"'{path}' ends after record {found} of {expected}."
    return None


def _count_compressed(path: str) -> int:
    # Not by TensorFlow, for which the end of a cut stream is the end of the data.
    count = end = 0
    try:
        with gzip.open(path) as file:
            while header := file.read(_HEADER.size):
                if len(header) < _HEADER.size:
                    raise EOFError("the last record is cut off")
                end += _HEADER.unpack(header)[0] + _RECORD_OVERHEAD
                file.seek(end - 1)
                if not file.read(1):
                    raise EOFError("the last record is cut off")
                count += 1
    except FileNotFoundError as error:
        raise ValueError(_unreadable(path, error)) from error
    except (OSError, EOFError, OverflowError, ValueError, zlib.error) as error:
        raise ValueError(
            f"Damaged TFRecord file '{path}' after record {count}: {error}. Write it "
            'again, or leave it out with `on_damage="skip_file"`.'
        ) from error
    return count
