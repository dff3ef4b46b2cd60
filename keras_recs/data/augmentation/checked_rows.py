"""What all alterations of sequences read."""

import numpy as np


def checked_rows(rows, share):
    """The rows, and which places hold an event.

    Args:
        rows: int `(B, T)`, padded on the left with 0.
        share: float from 0 to 1.

    Returns:
        rows `(B, T)`, bool `(B, T)` and the number of events `(B, 1)`.

    Raises:
        ValueError: for rows of another shape or kind and a share out of range.
    """
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.dtype.kind not in "iu":
        raise ValueError(
            f"`rows` must be integers (batch, time). Received: rows of {rows.dtype} of "
            f"shape {rows.shape}"
        )
    if not 0 <= share <= 1:
        raise ValueError(f"`share` must be from 0 to 1. Received: share={share}")
    is_there = rows != 0
    return rows, is_there, is_there.sum(1, keepdims=True)
