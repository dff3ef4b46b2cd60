"""Whether what a user has seen is a candidate."""

from pathlib import Path

from pipelines.stored_config import stored_config


def excludes_seen(workdir: Path, flag: bool | None) -> bool:
    """Whether items of a history are no candidates: as asked for, or as trained."""
    if flag is not None:
        return flag
    return stored_config(workdir).get("exclude_seen", True)
