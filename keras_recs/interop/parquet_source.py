"""What is known of a Parquet file before tensorflow-io reads it."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras_recs.interop.check_kind import PREPARE, check_kind
from keras_recs.interop.file_guard import FileGuard
from keras_recs.schema import Column

# tensorflow-io crashes the process on other encodings (DELTA_LENGTH_BYTE_ARRAY) or was
# not seen to read them.
_ENCODINGS = {"PLAIN", "PLAIN_DICTIONARY", "RLE_DICTIONARY", "RLE", "BIT_PACKED"}
_CODECS = {"UNCOMPRESSED", "SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4"}
_DTYPES = {
    "BOOLEAN": "bool",
    "INT32": "int32",
    "INT64": "int64",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "BYTE_ARRAY": "string",
}


@dataclasses.dataclass(frozen=True)
class ParquetSource:
    """A Parquet file of which tensorflow-io reads the needed columns right.

    Attributes:
        guard: `FileGuard` of the file.
        group_rows: rows of each row group.
        dtypes: by column: the TensorFlow dtype that tensorflow-io reads.
        unsigned: by column: the dtype as which the bits are to be taken, for integers
            without a sign.
        type_names: by column: the type as Arrow names it.
    """

    guard: FileGuard
    group_rows: tuple[int, ...]
    dtypes: dict[str, str]
    unsigned: dict[str, str]
    type_names: dict[str, str]

    @property
    def num_rows(self) -> int:
        """Rows of the file."""
        return sum(self.group_rows)

    @classmethod
    def open(cls, path: str, columns: dict[str, Column]) -> ParquetSource:
        """Reads the footer, and what of the data is needed to find nulls.

        Args:
            path: string.
            columns: the needed columns by name.

        Raises:
            ValueError: for a file that is not Parquet, lacks a column, or holds one
                that tensorflow-io would read wrong; file and column are named.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        guard = FileGuard.of(path)
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise ValueError(f"'{path}' is no whole Parquet file: {error}") from error
        with file:
            names = file.schema_arrow.names
            leaves = [
                file.metadata.schema.column(i).path
                for i in range(file.metadata.num_columns)
            ]
            dtypes, unsigned, type_names = {}, {}, {}
            for name, column in columns.items():
                if name not in names:
                    raise ValueError(
                        f"'{path}' lacks column '{name}' of the schema. Its columns: "
                        f"{names}"
                    )
                if names.count(name) > 1 or leaves.count(name) > 1:
                    raise ValueError(f"'{path}' has column '{name}' twice.")
                arrow_type = file.schema_arrow.field(name).type
                type_names[name] = str(arrow_type)
                _check_type(arrow_type, column, path)
                index = leaves.index(name)
                leaf = file.metadata.schema.column(index)
                dtypes[name] = _DTYPES[leaf.physical_type]
                if pa.types.is_unsigned_integer(arrow_type):
                    unsigned[name] = "u" + dtypes[name]
                _check_chunks(file, index, name, path)
            groups = range(file.metadata.num_row_groups)
            rows = tuple(file.metadata.row_group(group).num_rows for group in groups)
        return cls(guard, rows, dtypes, unsigned, type_names)


def _check_type(arrow_type: Any, column: Column, path: str) -> None:
    import pyarrow as pa

    types = pa.types
    if types.is_nested(arrow_type):
        raise ValueError(
            f"'{path}': column '{column.name}' has the type {arrow_type}. "
            "tensorflow-io reads the values of lists without the rows that they belong "
            f"to. {PREPARE}"
        )
    value = arrow_type.value_type if types.is_dictionary(arrow_type) else arrow_type
    kind = None
    if types.is_boolean(value):
        kind = "boolean"
    elif types.is_integer(value):
        kind = "integer"
    elif types.is_float32(value) or types.is_float64(value):
        kind = "number"
    elif str(value) in _TEXT:
        kind = "text"
    check_kind(kind, column, path, str(arrow_type))


_TEXT = ("string", "large_string", "string_view", "binary", "large_binary")


def _check_chunks(file: Any, index: int, name: str, path: str) -> None:
    """Refuses what tensorflow-io reads wrong in the data of a column."""
    leaf = file.metadata.schema.column(index)
    for group in range(file.metadata.num_row_groups):
        chunk = file.metadata.row_group(group).column(index)
        strange = set(chunk.encodings) - _ENCODINGS
        if leaf.physical_type == "BOOLEAN" and "PLAIN" not in chunk.encodings:
            strange = set(chunk.encodings)
        if strange or chunk.compression not in _CODECS:
            raise ValueError(
                f"'{path}': column '{name}' is written with "
                f"{sorted(strange) or chunk.compression}, which tensorflow-io does not "
                "read. Write it with plain or dictionary encoding and a usual codec "
                f"such as snappy. {PREPARE}"
            )
        if leaf.max_definition_level == 0 or chunk.num_values == 0:
            continue  # declared without nulls
        statistics = chunk.statistics
        if statistics is not None and statistics.has_null_count:
            nulls = statistics.null_count
        else:
            nulls = file.read_row_group(group, columns=[name])[name].null_count
        if nulls:
            raise ValueError(
                f"'{path}': column '{name}' has {nulls} nulls in row group {group}. "
                "tensorflow-io leaves nulls out and gives their rows the values of the "
                "rows below. Write missing values as NaN or as empty text. "
                f"{PREPARE}"
            )
