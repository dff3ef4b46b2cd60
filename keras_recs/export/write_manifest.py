"""What an export is, was made of, and was checked against."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_recs.preprocessing.sha256_of import sha256_of
from keras_recs.schema import Schema
from keras_recs.version import __version__

if TYPE_CHECKING:
    import keras

MANIFEST_FORMAT = 1


def write_manifest(
    folder: Path,
    model: keras.Model,
    schema: Schema,
    metrics: Mapping[str, Any] | None,
    parity: Mapping[str, Any],
    stand_ins: Mapping[str, Any],
) -> None:
    """Writes `manifest.json`, which lists every other file of a folder.

    Args:
        folder: the finished export.
        model: the model in it.
        schema: its schema.
        metrics: what it scored, as JSON can hold it, or `None`.
        parity: what `check_parity` returned.
        stand_ins: what `write_saved_model` returned.
    """
    import keras
    import tensorflow as tf

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "format": MANIFEST_FORMAT,
        "model": model.name,
        "num_parameters": model.count_params(),
        "schema_fingerprint": schema.fingerprint(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            "keras_recs": __version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
        "metrics": dict(metrics or {}),
        "parity": dict(parity),
        "stand_ins": dict(stand_ins),
        "files": {
            path.relative_to(folder).as_posix(): sha256_of(path) for path in files
        },
    }
    # NumPy's floats are no Python floats.
    text = json.dumps(manifest, indent=2, ensure_ascii=False, default=float) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
