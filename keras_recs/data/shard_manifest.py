"""The manifests beside TFRecord files: which files a set has, what each holds."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from keras_recs.data.output_folder import sync_folder
from keras_recs.data.prepare_manifest import MANIFEST
from keras_recs.data.shard_writer import Shard
from keras_recs.preprocessing.fitting.fitter import write_json

_FORMAT = 1
_OWN = re.compile(r"manifest-(.*)\.json", re.DOTALL)
_SHARD = re.compile(r"(.*)-\d{5}-of-(\d{5})\.tfrecord(?:\.gz)?", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class ListedFile:
    """What a manifest says of a TFRecord file.

    Attributes:
        manifest: string. Path of the manifest.
        rows: int.
        bytes: int.
    """

    manifest: str
    rows: int
    bytes: int


def shard_set(path: str) -> tuple[str, int] | None:
    """`("train", 8)` of `…/train-00000-of-00008.tfrecord`; `None` of other names."""
    match = _SHARD.fullmatch(os.path.basename(path))
    return None if match is None else (match[1], int(match[2]))


def is_manifest(path: str) -> bool:
    """Whether a file is named as a manifest is."""
    name = os.path.basename(path)
    return name == MANIFEST or _OWN.fullmatch(name) is not None


def write_shard_manifest(
    folder: Path,
    name: str,
    shards: Iterable[Shard],
    scratch: Path,
    *,
    bad_rows: int,
    complete: bool,
) -> None:
    """Writes `manifest-<name>.json` in one step.

    Args:
        folder: `Path` of the shards.
        name: string. What the shards' names begin with.
        shards: list of `Shard`.
        scratch: `Path` of a folder on the same disk.
        bad_rows: int. Rows that are in none of the shards.
        complete: bool. Whether the shards are all in their place.
    """
    value = {
        "format": _FORMAT,
        "complete": complete,
        "bad_rows": bad_rows,
        "files": {s.name: {"rows": s.rows, "bytes": s.bytes} for s in shards},
    }
    file = f"manifest-{name}.json"
    write_json(scratch / file, value)
    os.replace(scratch / file, folder / file)
    sync_folder(folder)


def listed_files(folder: str, sets: Collection[str]) -> dict[str, ListedFile]:
    """The TFRecord files that the manifests of a folder list, by name.

    `manifest-<name>.json` of `write_tfrecords` goes before the `manifest.json` of
    `prepare`. Manifests of something else are passed over.

    Args:
        folder: string.
        sets: names of the sets that will be read.

    Raises:
        ValueError: if the manifest of one of `sets` is damaged, or was left by a
            process that did not finish.
    """
    listed = _listed(_read(os.path.join(folder, MANIFEST)), folder, MANIFEST)
    for file in sorted(os.listdir(folder or os.curdir)):
        match = _OWN.fullmatch(file)
        if match is None:
            continue
        value = _read(os.path.join(folder, file))
        if match[1] in sets:
            _check(value, os.path.join(folder, file), match[1])
        own = _listed(value, folder, file)
        if own:
            others = {n: item for n, item in listed.items() if _name(n) != match[1]}
            listed = {**others, **own}
    return listed


def _name(file: str) -> str | None:
    found = shard_set(file)
    return None if found is None else found[0]


def _read(manifest: str) -> Any:
    try:
        with open(manifest, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None  # none, or one of something else


def _listed(value: Any, folder: str, manifest: str) -> dict[str, ListedFile]:
    path = os.path.join(folder, manifest)
    try:
        return {
            name: ListedFile(path, int(entry["rows"]), int(entry["bytes"]))
            for name, entry in value["files"].items()
            if "rows" in entry
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _check(value: Any, manifest: str, name: str) -> None:
    """Raises a `ValueError` unless this is the whole manifest of a whole set."""
    folder, file = os.path.split(manifest)
    names = list(_listed(value, folder, file))
    sets = {shard_set(shard) for shard in names}
    if sets != {(name, len(names))} or value.get("format") != _FORMAT:
        raise ValueError(
            f"The manifest '{manifest}' is damaged: it does not list all files of "
            f"'{name}'. Write them again, or remove it to read them unchecked."
        )
    if value.get("complete") is not True:
        raise ValueError(
            f"The TFRecord files of '{manifest}' were not all put in their place when "
            "they were written. Write them again with `overwrite=True`."
        )
