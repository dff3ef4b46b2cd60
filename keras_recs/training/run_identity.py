"""What must be the same for an interrupted run to go on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import keras

from keras_recs.schema import Schema
from keras_recs.training.is_parameter_server import is_parameter_server
from keras_recs.training.parameter_server.place_variables import server_of
from keras_recs.training.parameter_server.source_of import source_of
from keras_recs.training.stable_path import stable_path

_FILE = "run.json"
# All that a run leaves, but for its config.json.
_RUN_FILES = (
    "model.keras",
    "schema.json",
    "vocabularies",
    "history.csv",
    "metrics.json",
    "see_saw.json",
    "plots",
    "checkpoints",
    "tensorboard",
    "workers",
)


def begin_run(workdir: Path, model: keras.Model, schema: Schema, train: Any) -> bool:
    """Makes a run directory ready, for a new run or for one that goes on.

    Args:
        workdir: the run directory.
        model: compiled `keras.Model`.
        schema: fitted `keras_recs.Schema`.
        train: training batches.

    Returns:
        Whether an interrupted run goes on. What a finished one left is removed: its
        model and metrics must not stand beside another's vocabularies.

    Raises:
        ValueError: if the interrupted run is of another model, optimizer, schema or
            data set; what differs is named.
    """
    identity = _identity(model, schema, train)
    stored = workdir / "checkpoints" / _FILE
    if is_interrupted(workdir):
        known = json.loads(stored.read_text(encoding="utf-8"))
        changed = [n for n, value in identity.items() if known.get(n, value) != value]
        if changed:
            parts = [_difference(n, identity[n], known[n]) for n in changed]
            raise ValueError(
                f"'{workdir}' holds an interrupted run with another "
                f"{' and '.join(parts)}, which cannot go on. Give another workdir, "
                f"or remove '{workdir / 'checkpoints'}' to start anew."
            )
        return True
    clear_run(workdir)
    stored.parent.mkdir(parents=True, exist_ok=True)
    temporary = stored.with_name(f".{_FILE}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(identity, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, stored)
    return False


def is_interrupted(workdir: Path) -> bool:
    """Whether a run directory holds an interrupted run, which has a checkpoint."""
    checkpoints = workdir / "checkpoints"
    has_one = any(".part" not in p.name for p in checkpoints.glob("state-*"))
    return has_one and (checkpoints / _FILE).exists()


def clear_run(workdir: Path) -> None:
    """Removes what a run left in its directory, and nothing else."""
    unfinished = [path.name for path in workdir.glob(".model.*.keras")]
    for name in (*_RUN_FILES, *unfinished):
        path = workdir / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _identity(model: keras.Model, schema: Schema, train: Any) -> dict[str, Any]:
    weights = [[stable_path(v), list(v.shape)] for v in model.weights]
    optimizer = {
        "class": type(model.optimizer).__name__,
        **model.optimizer.get_config(),
    }
    text = json.dumps(weights)
    servers, data = [], ""
    if is_parameter_server(model.distribute_strategy):
        servers = [[server_of(v._value), list(v.shape)] for v in model.weights]
        data = source_of(train).fingerprint()
    return {
        "model": hashlib.sha256(text.encode()).hexdigest(),
        "optimizer": _without_names(json.loads(json.dumps(optimizer, default=float))),
        "schema": schema.fingerprint(),
        "number of steps": int(train.cardinality())
        if hasattr(train, "cardinality")
        else None,
        "data set": data,
        "place of its variables": servers,
    }


def _difference(name: str, here: Any, there: Any) -> str:
    """What differs, and of a configuration in which entries."""
    if not isinstance(here, dict) or not isinstance(there, dict):
        return name
    entries = [
        f"{key}={here.get(key)!r}, it had {there.get(key)!r}"
        for key in sorted(here.keys() | there.keys())
        if here.get(key) != there.get(key)
    ]
    return f"{name} ({'; '.join(entries)[:200]})"


def _without_names(config: Any) -> Any:
    """Keras counts the optimizers of a process in their names."""
    if isinstance(config, dict):
        return {k: _without_names(v) for k, v in config.items() if k != "name"}
    if isinstance(config, list):
        return [_without_names(item) for item in config]
    return config
