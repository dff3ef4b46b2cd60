"""What a client raises when the server refuses."""


class PredictionError(RuntimeError):
    """The server's refusal.

    Args:
        code: str. HTTP status, or name of the gRPC code.
        message: str. What the server said.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
