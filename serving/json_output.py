"""Tensors to JSON values, and JSON values to bytes."""

import base64
import json
from typing import Any

import numpy as np

from serving.errors import ServingError

_WRITABLE = {
    *map(np.dtype, ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u4", "u8", "?", "O"))
}


def output_lists(name: str, array: np.ndarray) -> Any:
    """Returns an output as nested lists.

    Args:
        name: str. If it ends in `_bytes`, strings become `{"b64": "…"}`.
        array: the output's values.

    Raises:
        ServingError: if the type has no JSON form.
    """
    array = np.asarray(array)
    if array.dtype not in _WRITABLE:
        raise ServingError.invalid_argument(
            f"Failed to write JSON value for tensor type: {array.dtype}"
        )
    if array.dtype.kind == "O":
        leaves = np.empty(array.size, object)
        if name.endswith("_bytes"):
            leaves[:] = [
                {"b64": base64.b64encode(value).decode()} for value in array.ravel()
            ]
        else:
            leaves[:] = [text(value) for value in array.ravel()]
        return leaves.reshape(array.shape).tolist()
    return shortest_floats(array)


def shortest_floats(array: np.ndarray) -> Any:
    """Returns float values as nested lists that print without noise digits.

    `0.2` in float32 is `0.20000000298…` in the float64 of Python; the shortest text
    that reads back as the same float32 is half as long.
    """
    if array.dtype == np.float32:
        flat = [float(str(value)) for value in array.ravel()]
        array = np.array(flat, np.float64).reshape(array.shape)
    return array.tolist()


def dump(value: Any) -> bytes:
    """Returns `value` as compact JSON; bytes decoded by `text` come out unchanged."""
    encoded = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return encoded.encode("utf-8", "surrogateescape")


def text(value: bytes) -> str:
    """Returns the bytes of a string tensor as text for `dump`."""
    return value.decode("utf-8", "surrogateescape")
