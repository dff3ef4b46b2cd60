"""A JSON value to a tensor."""

import base64
import binascii
import itertools
import math
import struct
from typing import Any

import numpy as np
from grpc import StatusCode

from serving.errors import ServingError
from serving.json_body import show, type_name

# Values of tensorflow.DataType, which would take all of TensorFlow to import.
_STRING = 7
_NAMES = {
    1: "float",
    2: "double",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    19: "half",
    22: "uint32",
    23: "uint64",
}
_FLOATS: dict[int, type[np.floating[Any]]] = {1: np.float32, 2: np.float64}
_INTEGERS: dict[int, type[np.integer[Any]]] = {
    3: np.int32,
    4: np.uint8,
    5: np.int16,
    6: np.int8,
    9: np.int64,
    22: np.uint32,
    23: np.uint64,
}
_PACK_CODES: dict[type[np.generic], str] = {
    np.float32: "f",
    np.float64: "d",
    np.int8: "b",
    np.uint8: "B",
    np.int16: "h",
    np.int32: "i",
    np.uint32: "I",
    np.int64: "q",
    np.uint64: "Q",
}
_MAX_RANK = 32  # NumPy's limit before version 2.


def json_to_array(value: Any, data_type: int) -> np.ndarray:
    """Returns a JSON value as array.

    Args:
        value: scalar, or lists nested to equal lengths. `{"b64": "…"}` is a leaf, for
            strings only.
        data_type: int. Value of `tensorflow.DataType`.

    Returns:
        Array of the value's shape; strings as objects of type bytes.

    Raises:
        ServingError: if a leaf is not of the type, or the lists are ragged.
    """
    shape, leaves, kinds = _flatten(value)
    if data_type in _FLOATS:
        flat = _floats(leaves, kinds, data_type)
    elif data_type in _INTEGERS:
        flat = _integers(leaves, kinds, data_type)
    elif data_type == _STRING:
        _check_kinds(leaves, kinds, {str, dict}, data_type)
        flat = np.array(_strings(leaves, kinds), object)
    elif data_type == 10:
        _check_kinds(leaves, kinds, {bool}, data_type)
        flat = np.array(leaves, np.bool_)
    else:
        raise ServingError(
            StatusCode.UNIMPLEMENTED,
            f"Conversion of JSON Value: {show(leaves[0] if leaves else value)} to "
            f"type: {_NAMES.get(data_type, data_type)}",
        )
    return flat.reshape(shape)


def is_base64(value: Any) -> bool:
    """Returns whether `value` is `{"b64": "…"}`."""
    return type(value) is dict and value.keys() == {"b64"} and type(value["b64"]) is str


def decode_base64(value: Any) -> bytes:
    """Returns the bytes of `{"b64": "…"}`; the padding may be left out.

    Raises:
        ServingError: if it is another object, or not base64.
    """
    if not is_base64(value):
        raise ServingError.invalid_argument(
            f"JSON Value: {show(value)} not formatted correctly for base64 data"
        )
    encoded = value["b64"].rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ServingError.invalid_argument("Unable to base64 decode") from error


def _flatten(value: Any) -> tuple[tuple[int, ...], list[Any], set[type]]:
    """Returns shape, leaves and types of leaves.

    A level at a time with functions that loop in C: the request's size is the
    client's choice.
    """
    if type(value) is not list:
        return (), [value], {type(value)}
    shape = [len(value)]
    leaves = value
    while list in (kinds := set(map(type, leaves))):
        level = len(shape)
        if len(kinds) > 1:
            stray = next(leaf for leaf in leaves if type(leaf) is not list)
            raise ServingError.invalid_argument(
                f"JSON Value: {show(stray)} found at incorrect level: {level + 1} in "
                "the JSON DOM. Lists must all be nested to the same depth."
            )
        sizes = set(map(len, leaves))
        if len(sizes) > 1:
            size = next(len(leaf) for leaf in leaves if len(leaf) != len(leaves[0]))
            raise ServingError.invalid_argument(
                f"Encountered list at unexpected size: {size} at level: {level} "
                f"expected size: {len(leaves[0])}"
            )
        shape.append(sizes.pop())
        if len(shape) > _MAX_RANK:
            raise ServingError.invalid_argument(
                f"Tensors of more than {_MAX_RANK} dimensions are not supported."
            )
        leaves = list(itertools.chain.from_iterable(leaves))
    return tuple(shape), leaves, kinds


def _check_kinds(
    leaves: list[Any], kinds: set[type], allowed: set[type], data_type: int
) -> None:
    if kinds <= allowed:
        return
    leaf = next(leaf for leaf in leaves if type(leaf) not in allowed)
    raise ServingError.invalid_argument(
        f"JSON Value: {show(leaf)} Type: {type_name(leaf)} is not of expected type: "
        f"{_NAMES[data_type]}"
    )


def _floats(leaves: list[Any], kinds: set[type], data_type: int) -> np.ndarray:
    _check_kinds(leaves, kinds, {int, float}, data_type)
    dtype = _FLOATS[data_type]
    if int in kinds:
        exact = 2 ** (np.finfo(dtype).nmant + 1) - 1
        for leaf in leaves:
            if type(leaf) is int and abs(leaf) > exact:
                raise _lossy(leaf, data_type)
    try:
        return _pack(leaves, dtype)
    except OverflowError:
        limit = np.finfo(dtype).max
        raise _lossy(
            next(v for v in leaves if limit < abs(v) < math.inf), data_type
        ) from None


def _lossy(leaf: Any, data_type: int) -> ServingError:
    return ServingError.invalid_argument(
        f"Cannot convert JSON value: {show(leaf)} to {_NAMES[data_type]} without loss "
        "of precision."
    )


def _integers(leaves: list[Any], kinds: set[type], data_type: int) -> np.ndarray:
    _check_kinds(leaves, kinds, {int}, data_type)
    dtype = _INTEGERS[data_type]
    try:
        return _pack(leaves, dtype)
    except struct.error:
        limits = np.iinfo(dtype)
        stray = next(v for v in leaves if not limits.min <= v <= limits.max)
        raise ServingError.invalid_argument(
            f"JSON Value: {show(stray)} Type: Number is not of expected type: "
            f"{_NAMES[data_type]}"
        ) from None


def _pack(leaves: list[Any], dtype: type[np.generic]) -> np.ndarray:
    """Returns numbers as array; unlike NumPy, `struct` refuses what does not fit."""
    packed = struct.pack(f"={len(leaves)}{_PACK_CODES[dtype]}", *leaves)
    return np.frombuffer(packed, dtype)


def _strings(leaves: list[Any], kinds: set[type]) -> list[bytes]:
    if dict not in kinds:
        try:
            return [leaf.encode() for leaf in leaves]
        except UnicodeEncodeError:
            pass
    return [_bytes(leaf) for leaf in leaves]


def _bytes(leaf: Any) -> bytes:
    if type(leaf) is str:
        try:
            return leaf.encode()
        except UnicodeEncodeError as error:
            raise ServingError.invalid_argument(
                f"JSON Value: {show(leaf)} holds half a surrogate pair."
            ) from error
    return decode_base64(leaf)
