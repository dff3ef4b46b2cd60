"""JSON tensors without a server: values, types, limits of depth and precision."""

import json

import numpy as np
import pytest

from serving.errors import ServingError
from serving.json_body import parse_body
from serving.json_output import shortest_floats
from serving.json_predict import predict_json
from serving.json_tensor import json_to_array

FLOAT, DOUBLE, INT32, INT8, STRING, INT64, BOOL, UINT64 = 1, 2, 3, 6, 7, 9, 10, 23


@pytest.mark.parametrize(
    ("value", "data_type", "expected"),
    [
        (1, FLOAT, np.float32(1)),
        ([[1, 2.5], [3, 4]], FLOAT, np.float32([[1, 2.5], [3, 4]])),
        ([[[]], [[]]], FLOAT, np.zeros((2, 1, 0), np.float32)),
        ([2**53 - 1], DOUBLE, np.float64([2**53 - 1])),
        ([-128, 127], INT8, np.int8([-128, 127])),
        ([2**64 - 1], UINT64, np.uint64([2**64 - 1])),
        ([[True], [False]], BOOL, np.array([[True], [False]])),
        (["ü", {"b64": "/w=="}], STRING, np.array(["ü".encode(), b"\xff"], object)),
        ({"b64": "/w"}, STRING, np.array(b"\xff", object)),
    ],
)
def test_value_to_array(value, data_type, expected):
    array = json_to_array(value, data_type)
    assert array.dtype == expected.dtype
    assert array.shape == expected.shape
    assert array.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("value", "data_type", "message"),
    [
        ([1, [2]], FLOAT, "JSON Value: 1 found at incorrect level"),
        ([[1], [2, 3]], FLOAT, "unexpected size: 2 at level: 1 expected size: 1"),
        ([1.0], INT32, "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ([128], INT8, "JSON Value: 128 Type: Number is not of expected type: int8"),
        ([-1], UINT64, "is not of expected type: uint64"),
        ([1], BOOL, "Type: Number is not of expected type: bool"),
        ([True], INT64, "Type: True is not of expected type: int64"),
        ([None], STRING, "JSON Value: null Type: Null is not of expected type: string"),
        ([2**53], DOUBLE, "to double without loss of precision"),
        ([{"b64": "A"}], STRING, "Unable to base64 decode"),
    ],
)
def test_value_that_does_not_fit(value, data_type, message):
    with pytest.raises(ServingError, match=message):
        json_to_array(value, data_type)


def test_messages_are_short():
    with pytest.raises(ServingError) as caught:
        json_to_array([["x" * 10_000]], FLOAT)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["[", '{"a": [', '"', '{"a": "\\"[[["}'])
def test_depth_of_odd_texts(text):
    """The count of brackets takes any text, the parser then refuses what is no JSON."""
    padded = text + '["' + "{" * 100 + '"]'
    try:
        json.loads(padded)
    except ValueError:
        with pytest.raises(ServingError, match="JSON Parse error"):
            parse_body(padded.encode())


def test_depth_counts_brackets_outside_strings_only():
    body = {"a": ['"\\' + "[{" * 200, "]" * 200], "b": [[1]] * 100}
    assert parse_body(json.dumps(body).encode()) == body
    closing_first = '{"a": "' + "]" * 100 + '", "b": ' + "[" * 64 + "]" * 64 + "}"
    with pytest.raises(ServingError, match="nested deeper than 64"):
        parse_body(closing_first.encode())


def test_byte_order_mark_and_utf16():
    assert parse_body(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    with pytest.raises(ServingError, match="JSON Parse error"):
        parse_body('{"a": 1}'.encode("utf-16"))


def test_shortest_floats_read_back_the_same():
    values = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    values[0] = [0.2, 1e-30, 16777216.0, -0.0]
    lists = shortest_floats(values)
    assert np.array_equal(np.float32(lists), values)
    assert json.dumps(lists[0]) == "[0.2, 1e-30, 16777216.0, -0.0]"


def test_outputs_of_strings():
    values = np.array([["ü".encode()], [b"\xff"]], object)
    assert predict_json(
        {"a": values}, rows=False
    ) == '{"outputs":[["ü"],["'.encode() + (b'\xff"]]}')
    assert json.loads(predict_json({"a_bytes": values}, rows=True)) == {
        "predictions": [[{"b64": "w7w="}], [{"b64": "/w=="}]]
    }


def test_rows_of_unequal_outputs():
    outputs = {"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)}
    with pytest.raises(
        ServingError, match="b has inconsistent batch size: 3 expecting: 2"
    ):
        predict_json(outputs, rows=True)
