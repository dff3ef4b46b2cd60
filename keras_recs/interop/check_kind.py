"""Whether a column of a file can be what the schema says."""

from __future__ import annotations

from keras_recs.schema import Column

# What the values of a column, or the items of a list, can be made of.
_SUITABLE = {
    "string": ("text", "integer", "boolean"),
    "int64": ("integer", "boolean"),
    "float32": ("number", "integer", "boolean"),
}
PREPARE = (
    "Convert the files with `python -m pipelines.prepare`, and read what it writes "
    "with keras_recs.data.tfrecord_dataset."
)


def check_kind(
    kind: str | None, column: Column, path: str, type_name: str, *, arrays: bool = False
) -> None:
    """Raises if values of a kind cannot make up a column.

    Args:
        kind: `"text"`, `"integer"`, `"number"` or `"boolean"`, `"array of …"` one of
            these, or another for what is not read.
        column: `Column` of the schema.
        path: string. The file, for the message.
        type_name: string. The type as the file names it, for the message.
        arrays: bool. Whether arrays of the file's format are read. Defaults to
            `False`: a list must be text with separators.

    Raises:
        ValueError: if it cannot; file, column and type are named.
    """
    suitable: tuple[str, ...] = _SUITABLE[column.dtype]
    expected = " or ".join(suitable)
    if column.is_list:
        items = tuple(item for item in suitable if item != "boolean")
        suitable = ("text", *(f"array of {item}" for item in items if arrays))
        expected = f"text with {column.separator!r} between the values"
        if arrays:
            expected = f"an array of {' or '.join(items)} without nulls, or {expected}"
    if kind not in suitable:
        raise ValueError(
            f"'{path}': column '{column.name}' has the type {type_name}; the schema "
            f"needs {expected}, for {column.dtype}. {PREPARE}"
        )
