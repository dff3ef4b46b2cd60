"""Canonical codes in both protocols."""

import pytest
import tensorflow as tf
from grpc import StatusCode

from serving.errors import ServingError


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (StatusCode.INVALID_ARGUMENT, 400),
        (StatusCode.FAILED_PRECONDITION, 400),
        (StatusCode.OUT_OF_RANGE, 400),
        (StatusCode.UNAUTHENTICATED, 401),
        (StatusCode.PERMISSION_DENIED, 403),
        (StatusCode.NOT_FOUND, 404),
        (StatusCode.ABORTED, 409),
        (StatusCode.ALREADY_EXISTS, 409),
        (StatusCode.RESOURCE_EXHAUSTED, 429),
        (StatusCode.CANCELLED, 499),
        (StatusCode.UNIMPLEMENTED, 501),
        (StatusCode.UNAVAILABLE, 503),
        (StatusCode.DEADLINE_EXCEEDED, 504),
        (StatusCode.INTERNAL, 500),
        (StatusCode.UNKNOWN, 500),
        (StatusCode.DATA_LOSS, 500),
    ],
)
def test_http_status(code, status):
    assert ServingError(code, "").http_status == status


@pytest.mark.parametrize(
    "error_type",
    [
        tf.errors.InvalidArgumentError,
        tf.errors.FailedPreconditionError,
        tf.errors.ResourceExhaustedError,
        tf.errors.UnimplementedError,
        tf.errors.DataLossError,
    ],
)
def test_errors_of_tensorflow_keep_code_and_message(error_type):
    error = ServingError.of(error_type(None, None, "what it said"))
    assert error.code.value[0] == error_type(None, None, "").error_code
    assert error.message == "what it said"
