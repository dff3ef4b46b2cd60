"""A folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from keras_recs.preprocessing.reading.scratch_folder import scratch_folder

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextlib.contextmanager
def output_folder(output: Path) -> Iterator[tuple[Path, Path]]:
    """A folder to fill, which takes its name when the block ends without an error.

    A folder that is there already stays whole until then and is replaced in one step.
    What a killed process left behind is removed by the next one.

    Args:
        output: `Path` of the folder.

    Yields:
        The folder to fill, and one for files that are needed meanwhile.
    """
    with scratch_folder(output.parent, output.name) as scratch:
        new, work = scratch / "new", scratch / "work"
        new.mkdir()
        work.mkdir()
        yield new, work
        sync_folder(new)
        if output.exists():
            _exchange(new, output)  # the old one goes with the scratch folder
        else:
            os.rename(new, output)
        sync_folder(output.parent)


def _exchange(new: Path, old: Path) -> None:
    """Gives two folders each other's name."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        paths = os.fsencode(new), os.fsencode(old)
        done = rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0
    except (AttributeError, OSError, TypeError):  # not Linux
        done = False
    if not done:
        os.rename(old, new.with_name("old"))
        os.rename(new, old)


def sync_folder(folder: Path) -> None:
    """Puts the names of a folder's files on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
