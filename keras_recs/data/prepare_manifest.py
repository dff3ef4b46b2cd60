"""What a prepared folder was made of, and what it holds."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_recs.preprocessing.reading.raw_files import RawFile
from keras_recs.version import __version__

MANIFEST = "manifest.json"
FORMAT = 1  # raised when the same input would give another output
_SAMPLES = 16
_SAMPLE_BYTES = 1 << 16
# Of an input, what says that it is the same; it may have moved.
_IDENTITY = ("bytes", "mtime_ns", "sample_sha256")


def input_fingerprint(file: RawFile) -> dict[str, Any]:
    """Size, time and a hash of evenly spaced samples of a file, quickly taken."""
    status = os.stat(file.path)
    digest = hashlib.sha256()
    with open(file.path, "rb") as data:
        for sample in range(_SAMPLES):
            data.seek(max(status.st_size - _SAMPLE_BYTES, 0) * sample // (_SAMPLES - 1))
            digest.update(data.read(_SAMPLE_BYTES))
    return {
        "path": os.path.abspath(file.path),
        "bytes": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "sample_sha256": digest.hexdigest(),
    }


def versions() -> dict[str, str]:
    """Versions of what the output depends on."""
    import numpy
    import pyarrow

    return {
        "keras_recs": __version__,
        "numpy": numpy.__version__,
        "pyarrow": pyarrow.__version__,
        "python": platform.python_version(),
    }


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a prepared folder, or `None` where there is none of ours."""
    try:
        value = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return value if value["format"] >= 1 and value["inputs"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def differences(
    manifest: dict[str, Any], inputs: Sequence[dict[str, Any]], options: dict[str, Any]
) -> list[str]:
    """What is not as it was when a manifest was written."""
    found = []
    if manifest["format"] != FORMAT:
        found.append(f"format {manifest['format']} is now {FORMAT}")
    old, new = (
        [{name: item.get(name) for name in _IDENTITY} for item in items]
        for items in (manifest["inputs"], inputs)
    )
    if old != new:
        found.append("other input files")
    before = manifest.get("options", {})
    # As JSON brings it back: tuples are lists.
    now = json.loads(json.dumps(options))
    for name in sorted(set(before) | set(now)):
        if before.get(name) != now.get(name):
            if isinstance(now.get(name), dict) or name == "schema":
                found.append(f"another {name}")
            else:
                found.append(f"{name} {before.get(name)!r} is now {now.get(name)!r}")
    return found


def damaged_files(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """Files of a manifest that are not there or not of their size."""
    damaged = []
    for name, entry in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != entry["bytes"]:
            damaged.append(name)
    return damaged


def file_entry(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a small file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}
