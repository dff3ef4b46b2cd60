"""The files that a path, a glob or a list of them stands for."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence

Files = str | os.PathLike | Sequence[str | os.PathLike]


def list_files(files: Files) -> list[str]:
    """Paths in the order given, the matches of a glob sorted, each file once.

    Raises:
        ValueError: if a pattern matches no file.
    """
    patterns = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    if not patterns:
        raise ValueError("`files` must name at least one file. Received: files=[]")
    paths: list[str] = []
    for pattern in [os.fspath(pattern) for pattern in patterns]:
        found = [pattern] if os.path.isfile(pattern) else sorted(glob.glob(pattern))
        found = [path for path in found if os.path.isfile(path)]
        if not found:
            raise ValueError(
                "`files` must be existing files or patterns of them. Received: "
                f"{pattern!r}, which matches no file"
            )
        paths += found
    return list(dict.fromkeys(os.path.abspath(path) for path in paths))
