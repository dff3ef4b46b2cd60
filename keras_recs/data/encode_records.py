"""Columns to the records of a TFRecord file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_recs.preprocessing.reading.crc32c import crc32c

_HEAD = 12  # length, its checksum
_FOOT = 4  # checksum of the data
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = b"\x0a", b"\x12", b"\x1a"


@dataclasses.dataclass
class Records:
    """TFRecord records one after another.

    Attributes:
        data: `uint8` array.
        offsets: `int64` array `(rows + 1,)`: where each record begins.
    """

    data: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def select(self, rows: np.ndarray) -> Records:
        """The records of increasing row numbers `rows`."""
        if len(rows) == len(self):
            return self
        offsets = pa.py_buffer(self.offsets.astype(np.int32))
        array = pa.Array.from_buffers(
            pa.binary(), len(self), [None, offsets, pa.py_buffer(self.data)]
        )
        chosen = array.take(pa.array(rows))
        offsets = np.frombuffer(chosen.buffers()[1], np.int32)[: len(rows) + 1]
        data = chosen.buffers()[2]
        return Records(np.frombuffer(data or b"", np.uint8), offsets.astype(np.int64))

    def slice(self, start: int, stop: int) -> bytes:
        """Bytes of the records `start … stop − 1`."""
        return self.data[self.offsets[start] : self.offsets[stop]].tobytes()


def encode_records(columns: Mapping[str, pa.Array], rows: int) -> Records:
    """Serializes each row as a `tf.train.Example`, framed and with its checksums.

    The bytes are made by column: the key and the lengths in front of a value depend on
    its length alone. Keys are in order of their bytes. What is missing (null, an empty
    list) is left out.

    Args:
        columns: dict of binary, int64 or float32 Arrow arrays, or lists of these
            without nulls.
        rows: int. Their length.

    Returns:
        `Records`.
    """
    fields = [_field(name, columns[name]) for name in sorted(columns, key=str.encode)]
    sizes = np.zeros(rows, np.int64)  # of the `Features` message
    for field in fields:
        sizes += field.sizes
    zero = pa.scalar(b"")
    foot = pa.scalar(bytes(_FOOT))
    parts = [part for field in fields for part in (field.heads, field.contents)]
    joined = pc.binary_join_element_wise(
        _frame_heads(sizes),
        *parts,
        foot,
        zero,
        null_handling="replace",
        null_replacement=b"",
    )
    if isinstance(joined, pa.ChunkedArray):
        joined = joined.combine_chunks()
    offsets = np.frombuffer(joined.buffers()[1], np.int32)[: rows + 1].astype(np.int64)
    data = np.frombuffer(joined.buffers()[2] or b"", np.uint8).copy()
    _write_checksums(data, offsets)
    return Records(data, offsets)


def _write_checksums(data: np.ndarray, offsets: np.ndarray) -> None:
    checksums = _masked(crc32c(data, offsets[:-1] + _HEAD, offsets[1:] - _FOOT))
    places = (offsets[1:] - _FOOT)[:, None] + np.arange(_FOOT)  # (rows, 4)
    data[places] = checksums.astype("<u4").view(np.uint8).reshape(-1, _FOOT)


def _masked(checksums: np.ndarray) -> np.ndarray:
    """Checksums as TFRecord files keep them."""
    rotated = (checksums >> 15) | (checksums << 17)
    return rotated + np.uint32(0xA282EAD8)


# === Features ===


@dataclasses.dataclass
class _Field:
    """A map entry of `Features` by row.

    Attributes:
        heads: all that stands before the content; empty where it is missing.
        contents: the content; null or empty where it is missing.
        sizes: `int64` array: bytes of the two together.
    """

    heads: pa.Array | pa.Scalar
    contents: pa.Array
    sizes: np.ndarray


def _field(name: str, column: pa.Array) -> _Field:
    packed = True  # the content stands in one tag and length
    if pa.types.is_list(column.type):
        present = np.diff(column.offsets.to_numpy()) > 0
        if pa.types.is_binary(column.type.value_type):
            tag, contents, packed = _BYTES_LIST, _joined_strings(column), False
        else:
            values = column.flatten().to_numpy()
            ends = column.offsets.to_numpy() - column.offsets[0].as_py()
            if pa.types.is_float32(column.type.value_type):
                data = values.astype("<f4").tobytes()
                tag, contents = _FLOAT_LIST, _binary(data, 4 * ends)
            else:
                tag, contents = _INT64_LIST, _varints(values, ends)
    elif pa.types.is_binary(column.type):
        tag, contents, present = _BYTES_LIST, column, _present(column)
    elif pa.types.is_float32(column.type):
        tag, contents, present = _FLOAT_LIST, _packed_floats(column), _present(column)
    else:
        present = _present(column)
        ends = np.concatenate([[0], np.cumsum(present)])
        values = column.drop_null().to_numpy()
        tag, contents = _INT64_LIST, _varints(values, ends)
    lengths = pc.binary_length(contents).fill_null(0).to_numpy(zero_copy_only=False)
    return _with_heads(name, tag, packed, contents, lengths, present)


def _present(column: pa.Array) -> np.ndarray:
    return column.is_valid().to_numpy(zero_copy_only=False)


def _with_heads(
    name: str,
    tag: bytes,
    packed: bool,
    contents: pa.Array,
    lengths: np.ndarray,
    present: np.ndarray,
) -> _Field:
    keys = np.where(present, lengths.astype(np.int64) + 1, 0)  # 0: missing
    distinct, codes = _distinct(keys)
    heads = [
        _entry_head(name.encode(), tag, packed, key - 1) if key else b""
        for key in distinct.tolist()
    ]
    sizes = np.array([len(head) for head in heads], np.int64)[codes] + lengths
    if len(heads) == 1:
        return _Field(pa.scalar(heads[0], pa.binary()), contents, sizes)
    return _Field(pa.array(heads, pa.binary()).take(pa.array(codes)), contents, sizes)


def _distinct(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct non-negative numbers, and where each row's stands among them."""
    if not len(keys):
        return keys, keys
    greatest = int(keys.max())
    if greatest > 1 << 20:
        return np.unique(keys, return_inverse=True)
    there = np.zeros(greatest + 1, bool)
    there[keys] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[keys]


def _entry_head(name: bytes, tag: bytes, packed: bool, length: int) -> bytes:
    """What stands before `length` bytes of content in the map entry of a feature."""
    inner = b"\x0a" + _varint(length) if packed else b""
    values = tag + _varint(len(inner) + length) + inner  # in a Feature
    feature = b"\x12" + _varint(len(values) + length) + values
    key = b"\x0a" + _varint(len(name)) + name
    return b"\x0a" + _varint(len(key) + len(feature) + length) + key + feature


def _frame_heads(sizes: np.ndarray) -> pa.Array:
    """Length, its checksum, and the head of the Example, by size of its `Features`."""
    distinct, codes = _distinct(sizes)
    prefixes = [b"\x0a" + _varint(size) for size in distinct.tolist()]
    totals = distinct + np.array([len(prefix) for prefix in prefixes], np.int64)
    lengths = totals.astype("<u8").tobytes()
    starts = 8 * np.arange(len(totals))
    checksums = _masked(crc32c(lengths, starts, starts + 8))
    heads = [
        lengths[8 * i : 8 * i + 8] + checksums[i].astype("<u4").tobytes() + prefix
        for i, prefix in enumerate(prefixes)
    ]
    return pa.array(heads, pa.binary()).take(pa.array(codes))


# === Contents ===


def _packed_floats(column: pa.Array) -> pa.Array:
    data = column.drop_null().to_numpy().astype("<f4")
    offsets = 4 * np.concatenate([[0], np.cumsum(_present(column))])
    return _binary(data.tobytes(), offsets)


def _joined_strings(column: pa.Array) -> pa.Array:
    """Each list as the body of a `BytesList`: tag, length and bytes of each value."""
    values = column.flatten()
    ends = column.offsets.to_numpy() - column.offsets[0].as_py()
    lengths = pc.binary_length(values).to_numpy(zero_copy_only=False)
    distinct, codes = _distinct(lengths.astype(np.int64))
    heads = [b"\x0a" + _varint(length) for length in distinct.tolist()]
    joined = pc.binary_join_element_wise(
        pa.array(heads, pa.binary()).take(pa.array(codes)), values, pa.scalar(b"")
    )
    starts = np.frombuffer(joined.buffers()[1], np.int32)[: len(values) + 1]
    return _binary(joined.buffers()[2], starts[ends])


def _varints(values: np.ndarray, ends: np.ndarray) -> pa.Array:
    """Varints of `values (N,)`, those from `ends[i]` to `ends[i + 1]` together."""
    left = values.astype(np.int64).view(np.uint64)
    groups = []  # seven bits each, least first
    more = []
    for _ in range(10):
        groups.append((left & np.uint64(0x7F)).astype(np.uint8))
        left = left >> np.uint64(7)
        more.append(left != 0)
        if not more[-1].any():
            break
    matrix = np.stack(groups, axis=1)  # (N, bytes)
    follows = np.stack(more, axis=1)
    matrix |= follows.astype(np.uint8) << 7
    used = np.concatenate([np.ones((len(values), 1), bool), follows[:, :-1]], axis=1)
    sizes = np.concatenate([[0], np.cumsum(used.sum(axis=1))])
    return _binary(matrix[used].tobytes(), sizes[ends])


def _varint(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _binary(data, offsets: np.ndarray) -> pa.Array:
    buffer = pa.py_buffer(b"" if data is None else data)
    bounds = pa.py_buffer(offsets.astype(np.int32))
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, bounds, buffer])
