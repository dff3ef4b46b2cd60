"""Windows over sequences that are longer."""

import numpy as np


def sliding_windows(starts, ends, size, stride):
    """Cuts each sequence into windows, the newest of which ends with it.

    Each further one ends `stride` places before, until the first place is in one; the
    oldest is shorter where it would begin before the sequence.

    Args:
        starts, ends: int arrays `(U,)`: the places of each sequence, `start … end − 1`.
        size: int. Places of a window.
        stride: int. At most `size`, or places would be lost.

    Returns:
        `(owners, starts, ends)`: int64 `(W,)`: which sequence a window is of, and its
        places; windows of a sequence are together, the newest first.

    Raises:
        ValueError: for a stride that is not from 1 to `size`.
    """
    if not isinstance(stride, (int, np.integer)) or not 1 <= stride <= size:
        raise ValueError(
            f"`stride` must be an integer from 1 to {size}, so that nothing is lost. "
            f"Received: stride={stride!r}"
        )
    starts, ends = np.asarray(starts, "int64"), np.asarray(ends, "int64")
    counts = 1 + np.maximum(ends - starts - size + stride - 1, 0) // stride  # (U,)
    owners = np.repeat(np.arange(len(starts)), counts)  # (W,)
    number = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    ends = ends[owners] - number * stride
    return owners, np.maximum(starts[owners], ends - size), ends
