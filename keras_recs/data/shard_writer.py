"""The TFRecord files of a data set, written piece by piece."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from keras_recs.data.encode_step import ShardPiece

_MAX_SHARDS = 99_999
_SHARD = r"-\d{5}-of-\d{5}\.tfrecord(\.gz)?"


@dataclasses.dataclass
class Shard:
    """A TFRecord file.

    Attributes:
        name: string. `<split>-00000-of-00008.tfrecord`, with `.gz` where compressed.
        rows: int.
        bytes: int.
    """

    name: str
    rows: int = 0
    bytes: int = 0


class ShardWriter:
    """Writes the files of some splits into a folder.

    Args:
        folder: `Path`.
        names: by split: what its files' names begin with.
        num_shards: int. Files a split.
        compression: `None` or `"GZIP"`.

    Attributes:
        shards: by split: list of `Shard`.
    """

    def __init__(
        self,
        folder: Path,
        names: dict[str, str],
        num_shards: int,
        compression: str | None,
    ):
        self.folder = folder
        ending = ".tfrecord.gz" if compression else ".tfrecord"
        self.shards = {
            split: [
                Shard(f"{name}-{shard:05d}-of-{num_shards:05d}{ending}")
                for shard in range(num_shards)
            ]
            for split, name in names.items()
        }
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> ShardWriter:
        for shards in self.shards.values():
            for shard in shards:
                file = open(self.folder / shard.name, "wb")
                self._files[shard.name] = file
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def write(self, pieces: Iterable[ShardPiece]) -> None:
        """Appends the pieces of the next chunk."""
        for piece in pieces:
            shard = self.shards[piece.split][piece.shard]
            self._files[shard.name].write(piece.data)
            shard.rows += piece.rows
            shard.bytes += len(piece.data)

    def sync(self) -> None:
        """Puts everything on disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())


def check_shards(num_shards: int, compression: str | None) -> None:
    """Raises a `ValueError` for arguments that no file can have."""
    if (
        not isinstance(num_shards, int)
        or isinstance(num_shards, bool)
        or not 1 <= num_shards <= _MAX_SHARDS
    ):
        raise ValueError(
            f"`num_shards` must be an integer from 1 to {_MAX_SHARDS}. Received: "
            f"num_shards={num_shards!r}"
        )
    if compression not in (None, "GZIP"):
        raise ValueError(
            "`compression` must be None or 'GZIP'. Received: "
            f"compression={compression!r}"
        )


def existing_shards(folder: Path, name: str) -> list[Path]:
    """Files of the data set `name` that a folder holds."""
    pattern = re.compile(re.escape(name) + _SHARD)
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
