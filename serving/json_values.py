"""Python values to JSON values and back, on the client's side."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np


def to_json(value: Any) -> Any:
    """Returns `value` with arrays as lists and bytes as `{"b64": "…"}`."""
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return value


def from_base64(value: Any) -> Any:
    """Returns `value` with `{"b64": "…"}` as bytes."""
    if isinstance(value, list):
        return [from_base64(item) for item in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value
