"""Which TFRecord files there are, how many records each holds, and their health."""

from __future__ import annotations

import dataclasses
import glob
import gzip
import json
import logging
import mmap
import os
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

_SHARD = re.compile(r"(.*)-\d{5}-of-\d{5}\.tfrecord(?:\.gz)?")
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

    Raises:
        ValueError: if there is no pattern, or one matches nothing.
    """
    patterns = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    paths: list[str] = []
    if not patterns:
        raise ValueError("`files` must name at least one TFRecord file. Received: []")
    for pattern in patterns:
        found = sorted(glob.glob(os.fspath(pattern)))
        found = [path for path in found if os.path.isfile(path)]
        if not found:
            raise ValueError(
                "`files` must be existing TFRecord files or patterns of them. "
                f"Received: '{os.fspath(pattern)}', which matches no file. "
                "`python -m pipelines.prepare` writes <output>/train-*.tfrecord."
            )
        sets = {match[1] for match in map(_SHARD.fullmatch, found) if match}
        if len(sets) > 1:
            logging.warning(
                "'%s' matches the shards of %d sets of files: %s. Is each of them "
                "meant?",
                os.fspath(pattern),
                len(sets),
                sorted(sets),
            )
        paths += found
    return list(dict.fromkeys(paths))


def count_records(path: str) -> TFRecordFile:
    """Counts the records of a file.

    A manifest beside the file that still fits its size is believed; else the record
    lengths are walked, which reads no data.

    Raises:
        ValueError: for a file that is cut off or whose lengths do not add up; the file
            and the offset are named.
    """
    known = _count_of_manifest(path)
    if known is not None:
        return TFRecordFile(path, known)
    if path.endswith(".gz"):
        return TFRecordFile(path, _count_compressed(path))
    size = os.path.getsize(path)
    count = position = 0
    if size:
        count, position = _walk(path, size)
    if position != size:
        raise ValueError(
            f"Damaged TFRecord file '{path}': the record at byte {position} "
            f"(number {count}) is cut off; the file has {size} bytes. Write it again, "
            'or leave it out with `on_damage="skip_file"`.'
        )
    return TFRecordFile(path, count)


def _walk(path: str, size: int) -> tuple[int, int]:
    """Number of whole records, and the byte at which they end."""
    count = position = 0
    with open(path, "rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with view:
            while position + _HEADER.size <= size:
                (length,) = _HEADER.unpack_from(view, position)
                if position + length + _RECORD_OVERHEAD > size:
                    break
                position += length + _RECORD_OVERHEAD
                count += 1
    return count, position


def find_damage(path: str) -> str | None:
    """Reads a whole file with its checksums; says what is wrong, or `None`."""
    import tensorflow as tf

    try:
        count_records(path)
        data = tf.data.TFRecordDataset(path, TFRecordFile(path, 0).compression, 1 << 20)
        for _ in data.batch(4096):
            pass
    except ValueError as error:
        return str(error)
    except tf.errors.OpError as error:
        return f"'{path}': {error.message.split('}} ')[-1]}"
    return None


def _count_of_manifest(path: str) -> int | None:
    manifest = Path(path).parent / "manifest.json"
    try:
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        entry = files[os.path.basename(path)]
        same = entry["bytes"] == os.path.getsize(path)
        return int(entry["rows"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no manifest, or one of something else


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
    except (OSError, EOFError, OverflowError, ValueError, zlib.error) as error:
        raise ValueError(
            f"Damaged TFRecord file '{path}' after record {count}: {error}. Write it "
            'again, or leave it out with `on_damage="skip_file"`.'
        ) from error
    return count
