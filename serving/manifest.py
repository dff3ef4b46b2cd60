"""Check of a version folder against its own list of SHA-256 sums."""

import hashlib
import json
import os
import pathlib

MANIFEST_NAME = "manifest.json"


def verify_manifest(folder: str | os.PathLike[str], require: bool = False) -> None:
    """Checks every file of `folder` against `manifest.json`.

    The list must be complete: a file that it does not name (an added warm-up request,
    say) is as suspicious as a changed one.

    Args:
        folder: the version's folder. Its manifest holds
            `{"files": {"relative/path": "sha256 in hex", …}, …}`.
        require: bool. Whether a missing manifest is an error. Defaults to `False`, so
            that SavedModels from elsewhere load.

    Raises:
        ValueError: if the manifest is unreadable, or a file is missing, changed or not
            listed. The message names the file.
    """
    folder = pathlib.Path(folder)
    path = folder / MANIFEST_NAME
    if not path.exists():
        if require:
            raise ValueError(
                f"{path} is missing and --require_manifest is set. Export the model "
                "again, or serve without the flag."
            )
        return
    try:
        listed = json.loads(path.read_bytes())["files"]
        listed = {str(name): str(digest).lower() for name, digest in listed.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'{path} must hold {{"files": {{"path": "sha256"}}}}. Received: {error!r}'
        ) from error
    present = {
        found.relative_to(folder).as_posix()
        for found in folder.rglob("*")
        if found.is_file()
    } - {MANIFEST_NAME}
    for name in sorted(present | listed.keys()):
        if name not in present:
            raise ValueError(f"{name} is listed in {path} but missing.")
        if name not in listed:
            raise ValueError(f"{name} is not listed in {path}.")
        digest = _sha256(folder / name)
        if digest != listed[name]:
            raise ValueError(
                f"{name} does not match {path}: expected SHA-256 {listed[name]}. "
                f"Received: {digest}. Publish the version again."
            )


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
