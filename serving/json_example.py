"""The bodies of REST Classify and Regress: `tf.train.Example` as JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2

from serving.errors import ServingError
from serving.json_body import show, type_name
from serving.json_output import dump, shortest_floats, text
from serving.json_tensor import decode_base64

_INT64 = range(-(2**63), 2**63)
_MAX_FLOAT32 = float(np.finfo(np.float32).max)


def json_examples(body: Mapping[str, Any], method: str) -> list[bytes]:
    """Returns the serialized examples of a body, each with the context in front.

    Args:
        body: `{"context"?: {feature: value or list}, "examples": [{…}, …]}`.
        method: str. `classify` or `regress`, for the messages.

    Raises:
        ServingError: if there is no example, or a feature mixes types.
    """
    context = b""
    if "context" in body:
        context = make_example(body["context"]).SerializeToString()
    if "examples" not in body:
        raise ServingError.invalid_argument(
            f"JSON Value: {show(body)} When method is {method}, key 'examples' is "
            "expected and was not found"
        )
    examples = body["examples"]
    if type(examples) is not list:
        raise ServingError.invalid_argument(
            f"JSON Value: {show(body)} Expecting 'examples' value to be an list/array"
        )
    if not examples:
        raise ServingError.invalid_argument(
            f"JSON Value: {show(body)} 'examples' value is an empty array"
        )
    return [context + make_example(value).SerializeToString() for value in examples]


def make_example(value: Any) -> example_pb2.Example:
    """Returns `{feature: value or list}` as `tf.train.Example`.

    Integers and booleans become int64, decimals float, strings and `{"b64": "…"}`
    bytes.

    Raises:
        ServingError: if it is not an object, or a feature's values are of several
            types, null or lists.
    """
    if type(value) is not dict:
        raise ServingError.invalid_argument(
            f"Example must be JSON object but got JSON {type_name(value)}"
        )
    example = example_pb2.Example()
    for name, content in value.items():
        try:
            feature = example.features.feature[name]
        except (ValueError, UnicodeError) as error:
            raise ServingError.invalid_argument(
                f"Feature name is not valid Unicode. Received: {show(name)}"
            ) from error
        values = content if type(content) is list else [content]
        kinds = set(map(type, values))
        if kinds and kinds <= {int, bool}:
            if any(v not in _INT64 for v in values):
                raise ServingError.invalid_argument(
                    f"Feature: {name} has uint64 element. Only int64 is supported."
                )
            feature.int64_list.value.extend(map(int, values))
        elif kinds == {float}:
            _check_float32(values)
            feature.float_list.value.extend(values)
        elif kinds and kinds <= {str, dict}:
            feature.bytes_list.value.extend(_bytes(v, name) for v in values)
        elif kinds:
            raise _wrong_element(values, kinds, name)
    return example


def classify_json(labels: np.ndarray, scores: np.ndarray) -> bytes:
    """Returns the body that answers Classify: `[label, score]` pairs per example."""
    rows = zip(labels.tolist(), shortest_floats(scores), strict=True)
    return dump(
        {
            "results": [
                [[text(label), score] for label, score in zip(*row, strict=True)]
                for row in rows
            ]
        }
    )


def regress_json(values: np.ndarray) -> bytes:
    """Returns the body that answers Regress: a value per example."""
    return dump({"results": shortest_floats(values)})


def _bytes(value: Any, name: str) -> bytes:
    if type(value) is str:
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise ServingError.invalid_argument(
                f"Feature: {name} holds half a surrogate pair."
            ) from error
    if value.keys() != {"b64"}:
        raise _unexpected(name, value)
    return decode_base64(value)


def _check_float32(values: list[float]) -> None:
    for value in values:
        if _MAX_FLOAT32 < abs(value) < float("inf"):
            raise ServingError.invalid_argument(
                f"Cannot convert JSON value: {show(value)} to float without loss of "
                "precision."
            )


def _wrong_element(values: list[Any], kinds: set[type], name: str) -> ServingError:
    for value in values:
        if value is None or type(value) is list:
            return _unexpected(name, value)
    first = type(values[0])
    expected = (
        "int64" if first in (int, bool) else "float" if first is float else "bytes"
    )
    return ServingError.invalid_argument(
        f"Unexpected element type in feature: {name} expecting type: {expected}"
    )


def _unexpected(name: str, value: Any) -> ServingError:
    return ServingError.invalid_argument(
        f"Feature: {name} has element with unexpected JSON type: {type_name(value)}"
    )
