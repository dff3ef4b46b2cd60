"""From a version folder to a servable that is checked and warm."""

import os
import pathlib
from typing import Any

from absl import logging

from serving.manifest import verify_manifest
from serving.servable import Servable


def load_version(
    name: str,
    version: int,
    folder: str | os.PathLike[str],
    require_manifest: bool = False,
    enable_warmup: bool = True,
    session_config: Any = None,
) -> Servable:
    """Loads one version of a model.

    Args:
        name: str. Model name.
        version: int.
        folder: the version's folder.
        require_manifest: bool. Refuse a folder without `manifest.json`. Defaults to
            `False`.
        enable_warmup: bool. Replay the folder's warm-up requests. Defaults to `True`.
        session_config: optional `tf.compat.v1.ConfigProto`.

    Raises:
        ValueError: if a file does not match the manifest.
        OSError: if the folder holds no SavedModel.
        ServingError: if a warm-up request fails.
        tf.errors.OpError: if TensorFlow cannot restore the model.
    """
    from serving.warmup import replay_warmup

    folder = pathlib.Path(folder)
    # Before anything of the folder reaches TensorFlow.
    verify_manifest(folder, require_manifest)
    servable = Servable(name, version, folder, session_config)
    try:
        count = replay_warmup(servable, folder) if enable_warmup else 0
    except BaseException:
        servable.close()
        raise
    logging.info("Replayed %d warm-up requests of %s", count, folder)
    return servable
