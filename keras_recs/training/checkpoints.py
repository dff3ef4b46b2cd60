"""Checkpoints that are there whole or not at all."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_recs.layers.embedding.whole_folder import sync_folder

_logger = logging.getLogger(__name__)
_NAME = re.compile(r"state-(\d{8})-([0-9a-f]{8})\.npz")  # number, CRC-32 of the file
_ABOUT = "about"  # the entry that holds the JSON
_CHUNK = 1 << 20


class Checkpoints:
    """Numbered `.npz` files in a folder, of which the newest ones are kept.

    A file is written under another name, brought to the disk and renamed, so that a
    process which dies leaves the earlier ones as they were. Its checksum is in its
    name; a damaged file is passed over for the one before it, with a warning.

    Args:
        folder: path. Made by the first `save`.
        keep: int. Files that stay. Defaults to `2`: the one before the newest is what
            remains if the newest is damaged.

    Attributes:
        seconds: float. What the last file took to be written.
    """

    _pattern = _NAME

    def __init__(self, folder: str | os.PathLike, keep: int = 2):
        if not isinstance(keep, int) or keep < 1:
            raise ValueError(
                f"`keep` must be a positive integer. Received: keep={keep!r}"
            )
        self.folder = Path(folder)
        self.keep = keep
        self.seconds = 0.0
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a file is being written."""
        return self._thread is not None and self._thread.is_alive()

    def save(self, arrays: Callable[[], Any], about: Mapping[str, Any]) -> None:
        """Starts to write a file, after the one before it is there.

        Args:
            arrays: function that returns a dict of name to numeric array; called in a
                thread of its own. What it returns must not change until `wait`.
            about: what JSON can hold.

        Raises:
            OSError: if the file before could not be written.
        """
        self.wait()
        text = json.dumps(about)
        self._thread = threading.Thread(
            target=self._write, args=(arrays, text), name="checkpoint", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Waits until the file is there.

        Raises:
            OSError: if it could not be written; the earlier ones are as they were.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise OSError(
                f"No checkpoint could be written to '{self.folder}': {error}"
            ) from error

    def newest(self) -> int:
        """Number of the newest whole file, 0 without one."""
        for path in reversed(self._paths()):
            try:
                _check(path)
                return _number(path)
            except (OSError, ValueError) as error:
                _logger.warning(
                    "The checkpoint '%s' is damaged (%s); the one before it is taken.",
                    path,
                    error,
                )
        return 0

    def read(self, number: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The arrays and the `about` of a file; newer ones are removed.

        Raises:
            ValueError: where there is no such file, or it is damaged.
        """
        found = [path for path in self._paths() if _number(path) == number]
        if not found:
            raise ValueError(
                f"'{self.folder}' has no whole checkpoint {number}, which another "
                "worker has as its newest. Bring it back, or remove the checkpoints of "
                "all workers to start anew."
            )
        _check(found[0])
        with np.load(found[0], allow_pickle=False) as entries:
            arrays = {name: entries[name] for name in entries.files}
        for path in self._paths():
            if _number(path) > number:
                path.unlink()
        return arrays, json.loads(arrays.pop(_ABOUT).tobytes().decode())

    def exists(self) -> bool:
        """Whether there is a file, whole or damaged."""
        return bool(self._paths())

    def clear(self) -> None:
        """Removes all files, those that were never finished too."""
        self.wait()
        self._sweep()
        for path in self._paths():
            self._remove(path)

    def _write(self, arrays, text: str) -> None:
        start = time.perf_counter()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            paths = self._paths()
            number = 1 + (_number(paths[-1]) if paths else 0)
            self._write_one(number, arrays(), text)
            sync_folder(self.folder)
            for path in self._paths()[: -self.keep]:
                self._remove(path)
        except BaseException as error:  # for `wait`, in the thread that asked
            self._error = error
        self.seconds = time.perf_counter() - start

    def _write_one(self, number: int, arrays: Any, text: str) -> None:
        """Writes a file under another name and gives it its own."""
        part = self.folder / f".state-{number:08d}.{os.getpid()}.part"
        content = dict(arrays)
        content[_ABOUT] = np.frombuffer(text.encode(), np.uint8)
        with open(part, "wb") as file:
            summed = _Summed(file)
            np.savez(summed, **content)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self.folder / f"state-{number:08d}-{summed.crc:08x}.npz")

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(
            p for p in self.folder.iterdir() if self._pattern.fullmatch(p.name)
        )

    def _sweep(self) -> None:
        for path in self.folder.glob(".state-*.part"):
            path.unlink(missing_ok=True)


class _Summed:
    """A file that is written from its start to its end, and its checksum."""

    def __init__(self, file):
        self.file = file
        self.crc = 0

    def write(self, data) -> int:
        self.crc = zlib.crc32(data, self.crc)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()

    def read(self) -> bytes:  # NumPy takes what has it for a file
        raise OSError("This file is only written.")


def _number(path: Path) -> int:
    return int(path.name.split("-")[1].split(".")[0])


def _check(path: Path) -> None:
    """Raises a `ValueError` for a file whose checksum is wrong."""
    match = _NAME.fullmatch(path.name)
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    if match is None or f"{crc:08x}" != match[2]:
        raise ValueError(f"its checksum is {crc:08x}")
