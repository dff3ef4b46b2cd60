"""The one error type that both protocols turn into their own status."""

from absl import logging
from grpc import StatusCode

_HTTP_STATUS = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ABORTED: 409,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.CANCELLED: 499,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
}
_BY_NUMBER = {code.value[0]: code for code in StatusCode}


class ServingError(Exception):
    """A failed request or load, with its canonical status code.

    Args:
        code: `grpc.StatusCode`. TensorFlow, gRPC and TF Serving share these codes.
        message: str. Sent to the client as it is.
    """

    def __init__(self, code: StatusCode, message: str):
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        """HTTP status of the code; 500 for those without a closer one."""
        return _HTTP_STATUS.get(self.code, 500)

    @classmethod
    def invalid_argument(cls, message: str) -> "ServingError":
        """Returns the error of a request that can never succeed as written."""
        return cls(StatusCode.INVALID_ARGUMENT, message)

    @classmethod
    def of(cls, error: BaseException) -> "ServingError":
        """Returns `error` as a `ServingError`.

        TensorFlow's own errors keep their code and message. Of any other error the
        client learns the type only; the log holds the rest.
        """
        if isinstance(error, cls):
            return error
        number = getattr(error, "error_code", None)  # tf.errors.OpError
        if isinstance(number, int):
            code = _BY_NUMBER.get(number, StatusCode.UNKNOWN)
            return cls(code, getattr(error, "message", None) or str(error))
        if isinstance(error, MemoryError):
            return cls(StatusCode.RESOURCE_EXHAUSTED, "Out of memory.")
        logging.error("Unexpected error", exc_info=error)
        return cls(
            StatusCode.INTERNAL,
            f"Unexpected {type(error).__name__}; the server log has the details.",
        )
