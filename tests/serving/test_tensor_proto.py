"""TensorProto against TensorFlow's own conversions."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from serving.errors import ServingError
from serving.tensor_proto import decode, encode

ARRAYS = [
    np.array(values, dtype)
    for dtype in ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "?")
    for values in ([], [[0, 1, 1]], 1)
] + [
    np.array([[b"a", b""], [b"\xff", b"c"]], object),
    np.array(b"scalar", object),
    np.array([1 + 2j], np.complex64),
    np.zeros((2, 0, 3), np.float32),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_as_tensorflow_does(array):
    for proto in (tf.make_tensor_proto(array), encode(array)):
        result = decode(proto)
        assert result.dtype == array.dtype
        assert result.shape == array.shape
        assert result.tolist() == array.tolist()
    assert tf.make_ndarray(encode(array)).tolist() == array.tolist()


def test_bfloat16():
    array = tf.constant([1.5], tf.bfloat16).numpy()
    assert decode(encode(array)).tolist() == [1.5]


def test_text_becomes_bytes():
    assert decode(encode(np.array(["ü", "b"]))).tolist() == ["ü".encode(), b"b"]


def test_few_values_are_completed_with_the_last():
    proto = tf.make_tensor_proto(np.float32([1.0, 2.0]))
    proto.ClearField("tensor_content")
    proto.tensor_shape.dim[0].size = 4
    proto.float_val[:] = [1.0, 2.0]
    assert decode(proto).tolist() == [1.0, 2.0, 2.0, 2.0]
    del proto.float_val[:]
    assert decode(proto).tolist() == [0.0] * 4


def change(proto, **kwargs):
    for size in kwargs.pop("dims", ()):
        proto.tensor_shape.dim.add(size=size)
    for name, value in kwargs.items():
        getattr(proto, name).extend(value)
    return proto


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (change(tf.make_tensor_proto([1.0, 2.0]), dims=[3]), "does not hold shape"),
        (change(tensor_pb2.TensorProto(dtype=1), dims=[-1]), "fully defined"),
        (
            change(tensor_pb2.TensorProto(dtype=1), dims=[1], float_val=[1, 2]),
            "2 val",
        ),
        (change(tensor_pb2.TensorProto(dtype=1), dims=[1 << 40]), "0 values"),
        (change(tensor_pb2.TensorProto(dtype=19), dims=[1 << 40]), "rarely used"),
        (change(tensor_pb2.TensorProto(dtype=4), dims=[1], int_val=[256]), "range"),
        (change(tensor_pb2.TensorProto(dtype=0), dims=[1]), "parsing error"),
    ],
)
def test_proto_that_does_not_fit(proto, message):
    with pytest.raises(ServingError, match=message):
        decode(proto)
