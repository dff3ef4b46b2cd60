"""Finished TFRecord files to their place."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

from keras_recs.data.output_folder import sync_folder
from keras_recs.data.shard_manifest import write_shard_manifest
from keras_recs.data.shard_writer import Shard


def publish_shards(
    scratch: Path,
    folder: Path,
    name: str,
    shards: Sequence[Shard],
    old: Sequence[Path],
    bad_rows: int,
) -> None:
    """Moves the files of a set to their folder and removes those of the set before.

    The manifest says meanwhile that the set is not complete: what a process that is
    killed here leaves behind is refused by `tfrecord_dataset`, never read in part.

    Args:
        scratch: `Path` of the folder with the files, which are on disk.
        folder: `Path` of the folder for them, on the same disk.
        name: string. What the files' names begin with.
        shards: list of `Shard`.
        old: paths of the files of the set that is replaced.
        bad_rows: int. Rows that are in none of the shards.
    """
    write = functools.partial(
        write_shard_manifest, folder, name, shards, scratch, bad_rows=bad_rows
    )
    write(complete=False)
    for shard in shards:
        os.replace(scratch / shard.name, folder / shard.name)
    for path in set(old) - {folder / shard.name for shard in shards}:
        path.unlink()
    sync_folder(folder)
    write(complete=True)
