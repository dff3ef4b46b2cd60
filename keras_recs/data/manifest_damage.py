"""What is not as the manifests beside TFRecord files say."""

from __future__ import annotations

import dataclasses
import fnmatch
import glob
import itertools
import os
from collections.abc import Sequence

from keras_recs.data.shard_manifest import ListedFile, listed_files, shard_set


@dataclasses.dataclass(frozen=True)
class FileDamage:
    """A file that cannot be read, or not to its end.

    Attributes:
        path: string.
        message: string. What is wrong, and what to do.
        records: int. What it held when it was whole, or `None`: not known.
    """

    path: str
    message: str
    records: int | None


def manifest_damage(
    files: str | os.PathLike | Sequence[str | os.PathLike], paths: Sequence[str]
) -> tuple[dict[str, int], list[FileDamage]]:
    """Compares names and sizes of files with the manifests in their folders.

    Args:
        files: path, glob or list of them. A file that a glob would match if it were
            there is missing.
        paths: the paths that these stand for.

    Returns:
        dict of the paths that are as listed to their number of records, and what is
        wrong with others. Files in folders without a manifest are in neither.

    Raises:
        ValueError: for a manifest that is damaged or of a set that is not complete.
    """
    records: dict[str, int] = {}
    damage: dict[str, FileDamage] = {}
    for folder, patterns in _patterns_by_folder(files).items():
        own = [path for path in paths if os.path.dirname(path) == folder]
        sets = {found[0] for found in map(shard_set, own) if found}
        listed = listed_files(folder, sets)
        for path in own:
            entry = listed.get(os.path.basename(path))
            wrong = _differs(path, entry) if entry else _left_over(path, listed)
            if wrong is not None:
                damage[path] = wrong
            elif entry is not None:
                records[path] = entry.rows
        for name in itertools.chain(*(fnmatch.filter(listed, p) for p in patterns)):
            path = os.path.join(folder, name)
            if path not in own:
                damage[path] = _missing(path, listed[name])
    return records, list(damage.values())


def _patterns_by_folder(files) -> dict[str, list[str]]:
    """Patterns of names, by the folders that hold what they match."""
    by_folder: dict[str, list[str]] = {}
    for pattern in [files] if isinstance(files, (str, os.PathLike)) else files:
        directory, name = os.path.split(os.fspath(pattern))
        for folder in glob.glob(directory) if directory else [""]:
            if os.path.isdir(folder or os.curdir):
                by_folder.setdefault(folder, []).append(name)
    return by_folder


def _missing(path: str, entry: ListedFile) -> FileDamage:
    message = (
        f"TFRecord file '{path}' is missing: '{entry.manifest}' lists it with "
        f"{entry.rows} records. Put it back, write the files again, or read without it "
        'by `on_damage="skip_file"`.'
    )
    return FileDamage(path, message, entry.rows)


def _differs(path: str, entry: ListedFile) -> FileDamage | None:
    try:
        size = os.path.getsize(path)
    except OSError:
        return _missing(path, entry)
    if size == entry.bytes:
        return None
    message = (
        f"Damaged TFRecord file '{path}': '{entry.manifest}' lists it with "
        f"{entry.rows} records in {entry.bytes} bytes, but it has {size} bytes. Write "
        'it again, or leave it out with `on_damage="skip_file"`.'
    )
    return FileDamage(path, message, entry.rows)


def _left_over(path: str, listed: dict[str, ListedFile]) -> FileDamage | None:
    found = shard_set(path)
    for name, entry in listed.items():
        other = shard_set(name)
        if found is not None and other is not None and other[0] == found[0]:
            message = (
                f"TFRecord file '{path}' is not of the set that '{entry.manifest}' "
                "lists. Remove what an earlier set left over, or leave it out with "
                '`on_damage="skip_file"`.'
            )
            return FileDamage(path, message, 0)
    return None
