"""A version folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path


def check_version(directory: str | os.PathLike, version: int | None) -> None:
    """Checks where a version is to be published, before the work is done.

    Raises:
        ValueError: for a remote folder, or a version that is no positive integer or
            exists.
    """
    if "://" in os.fspath(directory):
        raise ValueError(
            "`directory` must be a local folder, for only there a rename publishes at "
            f"once. Received: directory='{os.fspath(directory)}'. Export to a local "
            "folder and copy the version from there."
        )
    if version is None:
        return
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(
            f"`version` must be a positive integer. Received: version={version!r}"
        )
    if version in _versions(Path(directory)):
        raise ValueError(
            f"`version` must be new in '{directory}'. Received: version={version}, "
            "which exists: a server may have loaded it. Leave `version` out for the "
            "next number."
        )


@contextlib.contextmanager
def temporary_folder(directory: str | os.PathLike) -> Iterator[Path]:
    """A new folder inside `directory` that servers ignore; removed unless published.

    Its name is no number, so it is no version to TF Serving, and it is in the same file
    system as the version that it becomes.
    """
    folder = Path(directory) / f".tmp-{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, directory: str | os.PathLike, version: int | None) -> Path:
    """Makes a finished folder a version, by a rename.

    Args:
        folder: the finished folder, inside `directory`.
        directory: base folder of the served model.
        version: int, or `None` for one more than the highest there is. If another
            process takes that number first, the next one.

    Returns:
        Path of the version.

    Raises:
        ValueError: if the given version exists.
    """
    base = Path(directory)
    # What is visible after a power cut must be whole too.
    for path in [*folder.rglob("*"), folder]:
        _sync(path)
    while True:
        number = version or max(_versions(base), default=0) + 1
        target = base / str(number)
        try:
            os.rename(folder, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            check_version(directory, version)
        else:
            _sync(base)
            return target


def _versions(base: Path) -> set[int]:
    if not base.is_dir():
        return set()
    names = (path.name for path in base.iterdir())
    return {int(name) for name in names if name.isascii() and name.isdigit()}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
