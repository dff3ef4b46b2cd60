"""Negatives that are as likely as they are popular."""

from __future__ import annotations

import numpy as np

from keras_recs.data.negatives.negative_sampler import NegativeSampler


class PopularitySampler(NegativeSampler):
    """Draws items with a probability in proportion to count^α, with replacement.

    Args:
        counts: `(num_items,)`. How often each item occurs; one with 0 is never drawn.
        alpha: float of at least 0. With 0 all items that occur are as likely, with 1
            they are as likely as they are frequent. Defaults to `1.0`.

    Raises:
        ValueError: for counts that are negative, not finite or all 0, and an `alpha`
            out of range.

    Example:
    >>> sampler = keras_recs.data.PopularitySampler([8, 0, 2], alpha=0.5)
    >>> np.exp(sampler.log_probability([0, 2])).round(4).tolist()  # √8 : √2
    [0.6667, 0.3333]
    """

    def __init__(self, counts, alpha: float = 1.0):
        counts = np.asarray(counts, np.float64)
        if counts.ndim != 1 or not (np.isfinite(counts) & (counts >= 0)).all():
            raise ValueError(
                "`counts` must be finite numbers (num_items,) of at least 0. Received: "
                f"counts={counts}"
            )
        if not counts.any():
            raise ValueError(
                f"`counts` must have an item above 0. Received: {len(counts)} without"
            )
        if not 0 <= alpha < float("inf"):
            raise ValueError(
                f"`alpha` must be a number of at least 0. Received: alpha={alpha!r}"
            )
        super().__init__(len(counts))
        self.alpha = alpha
        # In logs: a large power of a large count is no number.
        logs = np.full(len(counts), -np.inf)
        logs[counts > 0] = alpha * np.log(counts[counts > 0])
        logs -= logs.max()
        self._logs = logs - np.log(np.exp(logs).sum())
        sums = np.cumsum(np.exp(self._logs))
        self._sums = sums / sums[-1]  # ends with 1, which no draw reaches

    def draw_freely(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws int64 `(count,)`."""
        return np.searchsorted(self._sums, rng.random(count), side="right")

    def log_probability(self, ids) -> np.ndarray:
        """The log of the probability of each id in a draw that avoids nothing."""
        return self._logs[self.checked_ids(ids)]
