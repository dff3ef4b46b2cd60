"""Folders that appear whole or not at all."""

import contextlib
import os
import shutil
import uuid


@contextlib.contextmanager
def whole_folder(folder):
    """A folder to fill that takes its name when the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f"{folder.name}.part-{uuid.uuid4().hex}")
    part.mkdir()
    try:
        yield part
        for file in part.iterdir():
            handle = os.open(file, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(part)
        os.rename(part, folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def sync_folder(folder):
    """Waits until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
