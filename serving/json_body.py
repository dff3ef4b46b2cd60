"""Request bodies: JSON with a bounded depth, and JSON values in messages."""

import json
import re
from typing import Any

import numpy as np

from serving.errors import ServingError

MAX_DEPTH = 64

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_NO_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_STEP = np.zeros(256, np.int32)
_STEP[list(b"[{")] = 1
_STEP[list(b"]}")] = -1
_TYPE_NAMES = {
    type(None): "Null",
    dict: "Object",
    list: "Array",
    str: "String",
    int: "Number",
    float: "Number",
}


def parse_body(body: bytes) -> dict[str, Any]:
    """Parses a request body.

    Args:
        body: UTF-8 JSON. `NaN` and `Infinity` are numbers, as TF Serving has them.

    Returns:
        The top-level object.

    Raises:
        ServingError: if it is not a JSON object, or nested deeper than 64.
    """
    if not body.strip():
        raise ServingError.invalid_argument("JSON Parse error: The document is empty")
    if _depth(body) > MAX_DEPTH:
        raise ServingError.invalid_argument(
            f"JSON Parse error: nested deeper than {MAX_DEPTH} levels"
        )
    try:
        # `json.loads` would guess UTF-16 and UTF-32 from bytes.
        value = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ServingError.invalid_argument(f"JSON Parse error: {error}") from error
    if type(value) is not dict:
        raise ServingError.invalid_argument(f"JSON Value: {show(value)} Is not object")
    return value


def signature_name(body: dict[str, Any]) -> str:
    """Returns the body's `signature_name`, empty if there is none."""
    name = body.get("signature_name", "")
    if type(name) is not str:
        raise ServingError.invalid_argument(
            f"JSON Value: {show(body)} not formatted correctly. 'signature_name' key "
            "must be a string value."
        )
    return name


def show(value: Any) -> str:
    """Returns `value` as JSON for a message, shortened."""
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + "…"


def type_name(value: Any) -> str:
    """Returns the name of a JSON value's type, as TF Serving's messages have it."""
    if type(value) is bool:
        return "True" if value else "False"
    return _TYPE_NAMES[type(value)]


def _depth(body: bytes) -> int:
    """Returns how deep the brackets nest, without recursion and before parsing."""
    openings = body.count(b"[") + body.count(b"{")
    if openings <= MAX_DEPTH:
        return openings
    if b"\\" in body:
        body = _ESCAPE.sub(b"", body)
    # Strings without brackets are pairs of neighbouring quotes by now. Dropping pairs
    # leaves the parity of the quotes before every bracket as it is.
    quotes_and_brackets = body.translate(None, _NO_STRUCTURE).replace(b'""', b"")
    marks = np.frombuffer(quotes_and_brackets, np.uint8)
    in_string = np.cumsum(marks == ord('"')) % 2 == 1
    steps = np.where(in_string, 0, _STEP[marks])
    return int(np.cumsum(steps).max(initial=0))
