"""What an export of a model of sequences recommends."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Recommending:
    """Options of the signature `recommend`.

    Args:
        top_k: int. Items of an answer.
        exclude_seen: bool. Whether items of a history are no candidates.

    Raises:
        ValueError: for a `top_k` that is not positive.
    """

    top_k: int = 10
    exclude_seen: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.top_k, int) or self.top_k < 1:
            raise ValueError(
                f"`top_k` must be a positive integer. Received: top_k={self.top_k!r}"
            )
