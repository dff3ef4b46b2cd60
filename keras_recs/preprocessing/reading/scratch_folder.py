"""Folders for what is not finished, which no crash leaves behind for long."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

_LOCK = ".lock"


@contextlib.contextmanager
def scratch_folder(parent: str | os.PathLike, purpose: str) -> Iterator[Path]:
    """A hidden temporary folder that is removed at the end.

    Folders of the same parent and purpose whose process is gone (killed, or the machine
    went down) are removed first. A folder in use is known by its lock, which the
    operating system takes back whatever happens.

    Args:
        parent: folder, made where it is not there.
        purpose: string. Part of the folder's name.

    Yields:
        `Path`. If it is renamed meanwhile, nothing is removed at the end.
    """
    parent = Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{purpose}.scratch-"
    for leftover in parent.glob(f"{_escaped(prefix)}*"):
        with contextlib.suppress(OSError), _lock(leftover) as locked:
            if locked:
                shutil.rmtree(leftover, ignore_errors=True)
    folder = parent / f"{prefix}{secrets.token_hex(8)}"
    folder.mkdir()
    try:
        with _lock(folder, create=True):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _lock(folder: Path, create: bool = False) -> Iterator[bool]:
    """Locks a folder; yields whether it was free."""
    try:
        import fcntl
    except ImportError:  # not POSIX: leftovers stay
        yield create
        return
    flags = os.O_RDWR | (os.O_CREAT if create else 0)
    handle = os.open(folder / _LOCK, flags, 0o600)
    try:
        free = create
        with contextlib.suppress(OSError):  # held, or a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        yield free
    finally:
        os.close(handle)


def _escaped(pattern: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in pattern)
