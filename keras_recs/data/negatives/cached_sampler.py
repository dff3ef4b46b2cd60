"""Draws that are made many at a time."""

from __future__ import annotations

import numpy as np

from keras_recs.data.negatives.negative_sampler import NegativeSampler


class CachedSampler(NegativeSampler):
    """Draws as another sampler does, but a large block at once, and hands out slices.

    For the small draws of every step, such as negatives that a batch shares: a slice
    costs next to nothing, and every draw is used once. A block comes from the `rng` of
    the draw that needs it. It has a state, so threads must not share one.

    Args:
        sampler: the sampler, such as `PopularitySampler`.
        size: int. Draws of a block.

    Raises:
        ValueError: for a size that is not positive.

    Example:
    >>> sampler = keras_recs.data.UniformSampler(10)
    >>> cached = keras_recs.data.CachedSampler(sampler, size=100)
    >>> rng = np.random.default_rng(0)
    >>> shared = [cached.draw((8,), rng) for step in range(3)]
    >>> np.concatenate(shared).tolist() == sampler.draw(
    ...     (100,), np.random.default_rng(0)
    ... )[:24].tolist()
    True
    """

    def __init__(self, sampler: NegativeSampler, size: int):
        super().__init__(sampler.num_items)
        if not isinstance(size, int) or size < 1:
            raise ValueError(
                f"`size` must be a positive integer. Received: size={size!r}"
            )
        self.sampler = sampler
        self.size = size
        self._block = np.zeros(0, np.int64)

    def draw_freely(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws int64 `(count,)`."""
        parts = []
        while count:
            if not len(self._block):
                self._block = self.sampler.draw_freely(self.size, rng)
            part, self._block = self._block[:count], self._block[count:]
            parts.append(part)
            count -= len(part)
        # A copy: what is drawn again must not be written into the block.
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def log_probability(self, ids) -> np.ndarray:
        """The log of the probability of each id in a draw that avoids nothing."""
        return self.sampler.log_probability(ids)
