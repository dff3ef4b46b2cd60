"""What is known of an Avro file before tensorflow-io reads it."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any, BinaryIO

from keras_recs.interop.check_kind import PREPARE, check_kind
from keras_recs.interop.file_guard import FileGuard
from keras_recs.schema import Column

_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_CODECS = ("null", "deflate", "snappy")
_KINDS = {
    "string": "text",
    "bytes": "text",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "boolean": "boolean",
}
_WIDER = {"int": "long", "float": "double"}


@dataclasses.dataclass(frozen=True)
class AvroSource:
    """An Avro file of which tensorflow-io reads the needed fields right.

    Attributes:
        guard: `FileGuard` of the file.
        num_records: int.
        record: name and namespace of the file's record.
        scalars: by column: Avro type as it is to be read, numbers in their wider form.
        arrays: by column: Avro type of the items of an array.
    """

    guard: FileGuard
    num_records: int
    record: dict[str, str]
    scalars: dict[str, Any]
    arrays: dict[str, str]

    @classmethod
    def open(cls, path: str, columns: dict[str, Column]) -> AvroSource:
        """Reads the header, and walks over the blocks without reading them.

        Args:
            path: string.
            columns: the needed columns by name.

        Raises:
            ValueError: for a file that is not Avro or is cut off, lacks a field, or
                holds one that tensorflow-io would read wrong; file and field are named.
        """
        guard = FileGuard.of(path)
        schema, num_records = _read_container(path)
        if not isinstance(schema, dict) or schema.get("type") != "record":
            raise ValueError(f"'{path}' does not hold records. Its schema: {schema}")
        fields = {field["name"]: field["type"] for field in schema["fields"]}
        scalars, arrays = {}, {}
        for name, column in columns.items():
            if name not in fields:
                raise ValueError(
                    f"'{path}' lacks field '{name}' of the schema. Its fields: "
                    f"{list(fields)}"
                )
            kind, form = _kind_of(fields[name])
            check_kind(kind, column, path, _written(fields[name]), arrays=True)
            if kind is not None and kind.startswith("array"):
                arrays[name] = form
            else:
                scalars[name] = form
        record = {key: schema[key] for key in ("name", "namespace") if key in schema}
        return cls(guard, num_records, record, scalars, arrays)

    @property
    def reader_schema(self) -> str:
        """The schema of the scalars alone: a null is allowed in all but booleans."""
        fields = [
            {"name": name, "type": form if form == "boolean" else ["null", form]}
            for name, form in self.scalars.items()
        ]
        return json.dumps({"type": "record", **self.record, "fields": fields})


def _kind_of(form: Any) -> tuple[str | None, Any]:
    """Kind of the values of a field, and the Avro type (of the items) as it is read."""
    if isinstance(form, list):
        others = [branch for branch in form if branch != "null"]
        if len(others) != 1:
            return None, None
        kind, form = _kind_of(others[0])
        # A null boolean would read as False; a null array is an error while reading.
        readable = kind in ("text", "integer", "number")
        return (kind, form) if readable else (f"{kind} or null", None)
    if isinstance(form, dict) and form["type"] == "array":
        items = _plain(form["items"])
        return f"array of {_KINDS.get(items)}", items
    if isinstance(form, dict) and form["type"] == "enum":
        return "text", form
    form = _plain(form)
    return _KINDS.get(form), _WIDER.get(form, form)


def _plain(form: Any) -> str:
    """Name of a primitive type, else `""`; a date or a decimal is not its number."""
    if isinstance(form, dict) and (
        "logicalType" not in form or form["type"] == "string"
    ):
        form = form["type"]
    return form if isinstance(form, str) and form in _KINDS else ""


def _written(form: Any) -> str:
    return form if isinstance(form, str) else json.dumps(form)


# === The container ===


def _read_container(path: str) -> tuple[Any, int]:
    """Schema of the records, and their number."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError(f"'{path}' is no Avro file.")
        count = position = 0
        try:
            metadata = _read_map(file)
            schema = json.loads(metadata["avro.schema"])
            sync = _read_exactly(file, _SYNC_BYTES)
            while (position := file.tell()) < size:
                num_records, num_bytes = _read_long(file), _read_long(file)
                if num_records < 0 or num_bytes < 0:
                    raise ValueError("a negative length")
                file.seek(num_bytes, os.SEEK_CUR)
                if _read_exactly(file, _SYNC_BYTES) != sync:
                    raise ValueError("no mark at the end of a block")
                count += num_records
        except (ValueError, KeyError, EOFError) as error:
            raise ValueError(
                f"'{path}' is damaged or cut off: the block at byte {position}, after "
                f"record {count}: {error}. Write it again."
            ) from error
    codec = metadata.get("avro.codec", b"null").decode()
    if codec not in _CODECS:
        raise ValueError(
            f"'{path}' is compressed with {codec}; tensorflow-io reads {_CODECS} only. "
            f"{PREPARE}"
        )
    return schema, count


def _read_map(file: BinaryIO) -> dict[str, bytes]:
    entries = {}
    while count := _read_long(file):
        if count < 0:  # the bytes of the block follow
            count = -count
            _read_long(file)
        for _ in range(count):
            key = _read_exactly(file, _read_long(file)).decode()
            entries[key] = _read_exactly(file, _read_long(file))
    return entries


def _read_long(file: BinaryIO) -> int:
    """A zigzag integer of variable length."""
    value = shift = 0
    while True:
        byte = _read_exactly(file, 1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1)
        shift += 7
        if shift > 63:
            raise ValueError("an integer that is too long")


def _read_exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count) if count >= 0 else b""
    if len(data) != count:
        raise EOFError("the file ends")
    return data
