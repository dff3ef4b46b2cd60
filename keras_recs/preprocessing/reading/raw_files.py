"""The raw files that a path, a glob or a list of them stands for."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Sequence

from keras_recs.preprocessing.reading.raw_format import RawFormat

Files = str | os.PathLike | Sequence[str | os.PathLike]

_KIND_OF_ENDING = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_GZIP_MAGIC = b"\x1f\x8b"


@dataclasses.dataclass(frozen=True)
class RawFile:
    """A raw file: where it is, what it is, how it is delimited."""

    path: str
    kind: str
    delimiter: str
    compressed: bool
    size: int


def raw_files(files: Files, raw_format: RawFormat) -> list[RawFile]:
    """Lists raw files: a glob's matches sorted, each file once.

    Raises:
        ValueError: for a pattern that matches nothing, or a file whose format is not
            known; it is named.
    """
    patterns = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    if not patterns:
        raise ValueError("`files` must name at least one file. Received: files=[]")
    paths: list[str] = []
    for pattern in [os.fspath(pattern) for pattern in patterns]:
        found = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern))
        if not found:
            raise ValueError(
                "`files` must be existing files or patterns of them. Received: "
                f"{pattern!r}, which matches no file"
            )
        for path in found:
            if os.path.isdir(path):
                raise ValueError(
                    f"`files` must be files. Received: the folder {path!r}; give a "
                    f"pattern such as {os.path.join(path, '*.parquet')!r}"
                )
        paths += found
    return [_raw_file(path, raw_format) for path in dict.fromkeys(paths)]


def _raw_file(path: str, raw_format: RawFormat) -> RawFile:
    with open(path, "rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
    if path.lower().endswith(".gz") and not compressed:
        raise ValueError(
            f"'{path}' is not a gzip file, or its beginning is damaged. Put back a "
            "whole one; if it is plain text, name it without '.gz'."
        )
    kind = raw_format.kind
    if kind == "auto":
        name = path.lower().removesuffix(".gz")
        kind = _KIND_OF_ENDING.get(os.path.splitext(name)[1], "")
    if not kind:
        raise ValueError(
            f"The format of '{path}' is not known by its ending (known are "
            f"{sorted(_KIND_OF_ENDING)}, also with .gz). Say it: `kind` of RawFormat, "
            "or --format."
        )
    delimiter = raw_format.delimiter or ("\t" if kind == "tsv" else ",")
    size = os.path.getsize(path)
    return RawFile(path, kind, delimiter, compressed and kind != "parquet", size)
