"""The checksum of a file."""

import hashlib
import os


def sha256_of(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's content, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
