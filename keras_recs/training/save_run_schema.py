"""A run's own copy of the schema and its vocabularies."""

import dataclasses
import os
import shutil
from pathlib import Path

from keras_recs.schema import Schema


def save_run_schema(schema: Schema, directory: str | os.PathLike) -> Schema:
    """Copies the vocabularies into a folder and writes its `schema.json`.

    The folder then holds all that preprocessing needs and can move.

    Returns:
        The schema with the paths of the copies.
    """
    folder = Path(directory) / "vocabularies"
    copies = {}
    for table, vocabulary in schema.vocabularies.items():
        folder.mkdir(parents=True, exist_ok=True)
        copy = folder / Path(vocabulary.path).name
        if not (copy.exists() and copy.samefile(vocabulary.path)):
            temporary = copy.with_name(f".{copy.name}.{os.getpid()}.tmp")
            shutil.copyfile(vocabulary.path, temporary)
            os.replace(temporary, copy)
        copies[table] = dataclasses.replace(vocabulary, path=str(copy))
    copied = dataclasses.replace(schema, vocabularies=copies)
    copied.save(Path(directory) / "schema.json")
    return copied
