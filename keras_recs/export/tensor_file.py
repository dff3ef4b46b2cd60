"""Arrays, strings among them, in a file that is read without pickle."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np


def write_tensors(path: str | os.PathLike, tensors: Sequence[np.ndarray]) -> None:
    """Writes arrays to an `.npz` file; strings are object arrays of `bytes`."""
    arrays = {}
    for number, tensor in enumerate(tensors):
        if tensor.dtype == object:
            values = tensor.ravel().tolist()
            lengths = np.array([len(value) for value in values], np.int64)
            arrays[f"{number}.lengths"] = lengths.reshape(tensor.shape)
            arrays[f"{number}.bytes"] = np.frombuffer(b"".join(values), np.uint8)
        else:
            arrays[f"{number}"] = tensor
    with open(path, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_tensors(path: str | os.PathLike) -> list[np.ndarray]:
    """Reads what `write_tensors` wrote."""
    tensors: dict[int, np.ndarray] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            number, _, part = key.partition(".")
            if part == "lengths":
                text = arrays[f"{number}.bytes"].tobytes()
                tensors[int(number)] = _strings(text, arrays[key])
            elif not part:
                tensors[int(number)] = arrays[key]
    return [tensors[number] for number in sorted(tensors)]


def _strings(text: bytes, lengths: np.ndarray) -> np.ndarray:
    ends = np.cumsum(lengths.ravel()).tolist()
    strings = np.empty(lengths.size, object)
    for i, end in enumerate(ends):
        strings[i] = text[ends[i - 1] if i else 0 : end]
    return strings.reshape(lengths.shape)
