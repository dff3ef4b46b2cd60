"""What the samplers of negatives share."""

from __future__ import annotations

import math
import operator

import numpy as np

from keras_recs.data.negatives.item_sets import ItemSets

# Where half of all draws are to be avoided, one in 100,000 is left over.
_TRIES = 16


class NegativeSampler:
    """Draws items with replacement.

    Subclasses define `draw_freely` and `log_probability`.

    Args:
        num_items: int.

    Raises:
        ValueError: for a number that is not positive.
    """

    def __init__(self, num_items: int):
        if not isinstance(num_items, (int, np.integer)) or num_items < 1:
            raise ValueError(
                "`num_items` must be a positive integer. Received: "
                f"num_items={num_items!r}"
            )
        self.num_items = int(num_items)

    def draw(self, shape, rng, avoid: ItemSets | None = None) -> np.ndarray:
        """Draws ids.

        Args:
            shape: ints. With `avoid` the first is its number of rows.
            rng: `numpy.random.Generator`.
            avoid: `ItemSets`. Row i of the result has no item of row i; the others are
                as likely as before beside each other. Defaults to `None`.

        Returns:
            int64 of the shape, in `[0, num_items)`.

        Raises:
            ValueError: for another number of rows or items, and a row that leaves
                nothing to draw.
        """
        shape = tuple(operator.index(size) for size in shape)
        if not isinstance(rng, np.random.Generator):
            raise TypeError(
                f"`rng` must be a numpy.random.Generator. Received: rng={rng!r}"
            )
        if avoid is None:
            return self.draw_freely(math.prod(shape), rng).reshape(shape)
        if not shape or len(avoid) != shape[0] or avoid.num_items != self.num_items:
            raise ValueError(
                "`avoid` must have a row for each row of the shape, and as many items "
                f"as the sampler ({self.num_items}). Received: {len(avoid)} rows, "
                f"{avoid.num_items} items, shape={shape}"
            )
        rows = np.repeat(np.arange(shape[0]), math.prod(shape[1:]))
        return self.draw_others(rows, rng, avoid).reshape(shape)

    def draw_freely(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws int64 `(count,)`."""
        raise NotImplementedError

    def log_probability(self, ids) -> np.ndarray:
        """The log of the probability of each id in a draw that avoids nothing.

        Args:
            ids: ints in `[0, num_items)`.

        Returns:
            float64 of their shape; −inf for an item that is never drawn.
        """
        raise NotImplementedError

    def draw_others(self, rows, rng, avoid: ItemSets) -> np.ndarray:
        """Draws an item for each row number that the row's set does not have."""
        drawn = self.draw_freely(len(rows), rng)
        left = np.flatnonzero(avoid.contains(rows, drawn))
        for _ in range(_TRIES):
            if not len(left):
                return drawn
            drawn[left] = self.draw_freely(len(left), rng)
            left = left[avoid.contains(rows[left], drawn[left])]
        for row in np.unique(rows[left]):
            places = left[rows[left] == row]
            chances = np.exp(self.log_probability(np.arange(self.num_items)))
            chances[avoid.row(row)] = 0.0
            sums = np.cumsum(chances)
            if not sums[-1] > 0:
                raise nothing_left(row)
            draws = rng.random(len(places))
            drawn[places] = np.searchsorted(sums / sums[-1], draws, side="right")
        return drawn

    def checked_ids(self, ids) -> np.ndarray:
        """The ids as an array.

        Raises:
            ValueError: for ids out of range.
        """
        ids = np.asarray(ids)
        if ids.size and not 0 <= ids.min() <= ids.max() < self.num_items:
            raise ValueError(
                f"`ids` must be in [0, {self.num_items}). Received: from {ids.min()} "
                f"to {ids.max()}"
            )
        return ids


def nothing_left(row: int) -> ValueError:
    """The error of a row that has every item."""
    return ValueError(
        "`avoid` must leave an item to draw in every row. Received: every item that "
        f"can be drawn in row {row}"
    )
