"""Negatives that a model takes for positives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from keras_recs.data.negatives.item_sets import ItemSets
from keras_recs.data.negatives.negative_sampler import NegativeSampler


class HardNegatives:
    """Of a random pool of items the ones with the highest scores.

    The larger the pool, the harder they are, and the more of them are positives that
    nobody has seen yet. An item that is twice in the pool may be drawn twice. There is
    no probability of an item: it depends on the scores. This is for loops of one's own;
    in `fit`, `NextItemModel(hard_negatives=…)` chooses among the draws of a sampler.

    Args:
        sampler: draws the pool, such as `UniformSampler`.
        pool_size: int. Items of a pool.
        num_negatives: int of at most `pool_size`.

    Raises:
        ValueError: for sizes out of range.

    Example:
    >>> sampler = keras_recs.data.UniformSampler(100)
    >>> hard = keras_recs.data.HardNegatives(sampler, pool_size=50, num_negatives=2)
    >>> drawn = hard.draw((3,), np.random.default_rng(0), score=lambda pool: -pool)
    >>> drawn.shape, bool((drawn < 20).all())
    ((3, 2), True)
    """

    def __init__(self, sampler: NegativeSampler, pool_size: int, num_negatives: int):
        if not 1 <= num_negatives <= pool_size:
            raise ValueError(
                "`num_negatives` must be at least 1 and at most `pool_size`. Received: "
                f"num_negatives={num_negatives!r}, pool_size={pool_size!r}"
            )
        self.sampler = sampler
        self.pool_size = pool_size
        self.num_negatives = num_negatives

    def draw(
        self, shape, rng, score: Callable, avoid: ItemSets | None = None
    ) -> np.ndarray:
        """Draws ids.

        Args:
            shape: ints. Of the positions that need negatives.
            rng: `numpy.random.Generator`.
            score: function of the pool's ids `(*shape, pool_size)`; returns the score
                of each. NaN comes last.
            avoid: `ItemSets`. Row i of the pools has no item of row i. Defaults to
                `None`.

        Returns:
            int64 `(*shape, num_negatives)`, the highest score first.

        Raises:
            ValueError: for scores of another shape, and as the sampler does.
        """
        pool = self.sampler.draw((*shape, self.pool_size), rng, avoid)
        scores = np.asarray(score(pool))
        if scores.shape != pool.shape:
            raise ValueError(
                f"`score` must return a score for each id {pool.shape}. Received: "
                f"shape {scores.shape}"
            )
        losses = -scores.astype(np.float64)
        if self.num_negatives < self.pool_size:
            best = np.argpartition(losses, self.num_negatives - 1, axis=-1)
            best = best[..., : self.num_negatives]
            pool = np.take_along_axis(pool, best, axis=-1)
            losses = np.take_along_axis(losses, best, axis=-1)
        order = np.argsort(losses, axis=-1, kind="stable")
        return np.take_along_axis(pool, order, axis=-1)
