"""`TensorProto` to NumPy array and back."""

import math
from typing import Any

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.errors import ServingError

# DataType -> (NumPy dtype, TensorProto field); strings are object arrays of bytes.
_FIELDS: dict[int, tuple[np.dtype, str]] = {
    types_pb2.DT_FLOAT: (np.dtype(np.float32), "float_val"),
    types_pb2.DT_DOUBLE: (np.dtype(np.float64), "double_val"),
    types_pb2.DT_INT64: (np.dtype(np.int64), "int64_val"),
    types_pb2.DT_INT32: (np.dtype(np.int32), "int_val"),
    types_pb2.DT_INT16: (np.dtype(np.int16), "int_val"),
    types_pb2.DT_INT8: (np.dtype(np.int8), "int_val"),
    types_pb2.DT_UINT8: (np.dtype(np.uint8), "int_val"),
    types_pb2.DT_UINT16: (np.dtype(np.uint16), "int_val"),
    types_pb2.DT_UINT32: (np.dtype(np.uint32), "uint32_val"),
    types_pb2.DT_UINT64: (np.dtype(np.uint64), "uint64_val"),
    types_pb2.DT_BOOL: (np.dtype(np.bool_), "bool_val"),
    types_pb2.DT_STRING: (np.dtype(object), "string_val"),
}
_TYPES = {dtype: (number, field) for number, (dtype, field) in _FIELDS.items()}
# A proto may give one value for a whole tensor, so its own size bounds nothing.
_MAX_REPEATED_ELEMENTS = 1 << 24


def decode(proto: Any) -> np.ndarray:
    """Returns the array that a `TensorProto` holds.

    Args:
        proto: `TensorProto`. Fewer values than the shape asks for are completed with
            the last one, as TensorFlow does.

    Returns:
        Array of the proto's shape; strings as objects of type bytes.

    Raises:
        ServingError: if values and shape do not fit, or the type is unknown.
    """
    tensor_shape = proto.tensor_shape
    shape = tuple([dim.size for dim in tensor_shape.dim])
    if tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise ServingError.invalid_argument(
            f"`tensor_shape` must be fully defined. Received: {shape}"
        )
    size = math.prod(shape)
    if proto.dtype not in _FIELDS:
        return _decode_rare(proto, size)
    dtype, field = _FIELDS[proto.dtype]
    content = proto.tensor_content
    if content:
        if dtype.kind == "O" or len(content) != size * dtype.itemsize:
            raise ServingError.invalid_argument(
                f"`tensor_content` of {len(content)} bytes does not hold shape "
                f"{list(shape)} of {types_pb2.DataType.Name(proto.dtype)}; send "
                f"`{field}` instead."
            )
        return np.frombuffer(content, dtype).reshape(shape)
    values = getattr(proto, field)
    count = len(values)
    if count > size or (count < size and size > _MAX_REPEATED_ELEMENTS):
        raise ServingError.invalid_argument(
            f"`{field}` must hold the {size} values of shape {list(shape)}. "
            f"Received: {count} values"
        )
    try:
        flat = _from_iter(values, dtype)
    except (OverflowError, ValueError) as error:
        raise ServingError.invalid_argument(
            f"`{field}` holds a value out of range: {error}"
        ) from error
    if count < size:
        empty: Any = b"" if dtype.kind == "O" else 0
        filler = np.full(size - count, flat[-1] if count else empty, dtype)
        flat = np.concatenate([flat, filler])
    return flat if len(shape) == 1 else flat.reshape(shape)


def encode(array: np.ndarray) -> Any:
    """Returns an array as `TensorProto`.

    Values go to the typed fields and not to `tensor_content`, as in TF Serving's
    answers: clients read `response.outputs["ctr"].float_val`.

    Args:
        array: array; strings as objects of type bytes or str.
    """
    array = np.asarray(array)
    if array.dtype.kind in "SU":
        array = array.astype(object)
    if array.dtype not in _TYPES:
        import tensorflow as tf

        return tf.make_tensor_proto(array)
    number, field = _TYPES[array.dtype]
    proto = tensor_pb2.TensorProto(dtype=number)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    values = array.ravel().tolist()
    if number == types_pb2.DT_STRING:
        values = [v.encode() if isinstance(v, str) else v for v in values]
    getattr(proto, field).extend(values)
    return proto


def _from_iter(values: Any, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "O":
        return np.array(list(values), object)
    if dtype.kind in "iu" and dtype.itemsize < 4:
        # NumPy 1 wraps silently, and these types share the field `int_val`.
        wide = np.fromiter(values, np.int64, len(values))
        limits = np.iinfo(dtype)
        if wide.size and not limits.min <= wide.min() <= wide.max() <= limits.max:
            raise OverflowError(f"{dtype} takes {limits.min} to {limits.max}")
        return wide.astype(dtype)
    return np.fromiter(values, dtype, len(values))


def _decode_rare(proto: Any, size: int) -> np.ndarray:
    import tensorflow as tf

    try:
        if size > _MAX_REPEATED_ELEMENTS:
            raise ValueError(f"{size} elements of a rarely used type")
        return tf.make_ndarray(proto)
    except Exception as error:
        raise ServingError.invalid_argument(f"tensor parsing error: {error}") from error
