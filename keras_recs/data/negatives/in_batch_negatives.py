"""The targets of other examples as negatives."""

from __future__ import annotations

import numpy as np


def in_batch_negatives(targets, valid=None) -> tuple[np.ndarray, np.ndarray]:
    """The other targets of a batch, for each of its examples.

    They are drawn with the probability with which items are targets, at no cost. A
    target of the same id is there, but does not count.

    Args:
        targets: int ids `(B,)`.
        valid: bool `(B,)`, false for padding, which counts for nobody. Defaults to
            `None`: all are there.

    Returns:
        Ids `(B, B - 1)`, in the order of `keras_recs.losses.positive_first`: behind
        example i come those of i + 1, …, B − 1, 0, …, i − 1. And bool `(B, B - 1)`,
        true where one counts.

    Raises:
        ValueError: for other shapes.

    Example:
    >>> ids, counts = keras_recs.data.in_batch_negatives([7, 8, 7])
    >>> ids.tolist()
    [[8, 7], [7, 7], [7, 8]]
    >>> counts.tolist()
    [[True, False], [True, True], [False, True]]
    """
    targets = np.asarray(targets)
    valid = np.ones(targets.shape, bool) if valid is None else np.asarray(valid, bool)
    if targets.ndim != 1 or valid.shape != targets.shape:
        raise ValueError(
            "`targets` and `valid` must be (batch,). Received: shapes "
            f"{targets.shape} and {valid.shape}"
        )
    size = len(targets)
    around = (np.arange(size)[:, None] + np.arange(1, max(size, 1))) % max(size, 1)
    negatives = targets[around]  # (B, B - 1)
    counts = (negatives != targets[:, None]) & valid[around] & valid[:, None]
    return negatives, counts
