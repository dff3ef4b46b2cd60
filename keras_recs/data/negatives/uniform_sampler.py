"""Negatives that are all equally likely."""

from __future__ import annotations

import math

import numpy as np

from keras_recs.data.negatives.item_sets import ItemSets
from keras_recs.data.negatives.negative_sampler import NegativeSampler, nothing_left


class UniformSampler(NegativeSampler):
    """Draws every item with the same probability, with replacement.

    What is to be avoided is left out from the start: nothing is drawn twice.

    Args:
        num_items: int. Ids are in `[0, num_items)`.

    Raises:
        ValueError: for a number that is not positive.

    Example:
    >>> sampler = keras_recs.data.UniformSampler(4)
    >>> own = keras_recs.data.ItemSets([0, 1, 3], [0, 3], num_items=4)
    >>> sampler.draw((1, 3), np.random.default_rng(0), own).tolist()
    [[2, 2, 2]]
    """

    def draw_freely(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws int64 `(count,)`."""
        return rng.integers(self.num_items, size=count)

    def draw_others(self, rows, rng, avoid: ItemSets) -> np.ndarray:
        """Draws an item for each row number that the row's set does not have."""
        free = self.num_items - avoid.sizes[rows]
        if len(rows) and not free.all():
            raise nothing_left(rows[np.argmin(free)])
        return avoid.others(rows, rng.integers(free))

    def log_probability(self, ids) -> np.ndarray:
        """The log of the probability of each id in a draw that avoids nothing."""
        return np.full(self.checked_ids(ids).shape, -math.log(self.num_items))
