"""Sets of items, such as those of each user."""

from __future__ import annotations

import functools

import numpy as np


class ItemSets:
    """The set of items of each row, compressed: what samplers avoid.

    Sorted once, so that the lookups of many draws are fast. Made for all users; `take`
    gives the rows of a batch.

    Args:
        items: ints `(total,)` in `[0, num_items)`, one row after the other, in any
            order within a row; repeated ones count once.
        row_splits: ints `(rows + 1,)`: row i is from `row_splits[i]` to before
            `row_splits[i + 1]`.
        num_items: int.

    Raises:
        ValueError: for items out of range and splits that do not divide them.

    Example:
    >>> sets = keras_recs.data.ItemSets([2, 0, 2, 1], [0, 3, 3, 4], num_items=5)
    >>> [sets.row(i).tolist() for i in range(len(sets))]
    [[0, 2], [], [1]]
    >>> sets.take([2, 2]).row(1).tolist()
    [1]
    """

    def __init__(self, items, row_splits, num_items: int):
        items = np.asarray(items, np.int64).reshape(-1)
        splits = np.asarray(row_splits, np.int64).reshape(-1)
        if num_items < 1:
            raise ValueError(
                f"`num_items` must be positive. Received: num_items={num_items!r}"
            )
        if (
            not len(splits)
            or splits[0] != 0
            or splits[-1] != len(items)
            or (np.diff(splits) < 0).any()
        ):
            raise ValueError(
                "`row_splits` must rise from 0 to the number of items. Received: "
                f"row_splits={splits} for {len(items)} items"
            )
        outside = (items < 0) | (items >= num_items)
        if outside.any():
            raise ValueError(
                f"`items` must be in [0, {num_items}). Received: "
                f"{items[outside][0]} at {int(np.argmax(outside))}"
            )
        rows = np.repeat(np.arange(len(splits) - 1), np.diff(splits))
        keys = np.sort(rows * num_items + items)
        keys = keys[np.diff(keys, prepend=-1) > 0]
        sizes = np.bincount(keys // num_items, minlength=len(splits) - 1)
        self._fill(keys, sizes, num_items)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.sizes)

    def row(self, number: int) -> np.ndarray:
        """The items of a row, sorted."""
        keys = self._keys[self._splits[number] : self._splits[number + 1]]
        return keys - number * self.num_items

    def take(self, rows) -> ItemSets:
        """The sets of some rows, such as the users of a batch; repeats are allowed."""
        rows = np.asarray(rows, np.int64).reshape(-1)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise ValueError(
                f"`rows` must be in [0, {len(self)}). Received: from {rows.min()} to "
                f"{rows.max()}"
            )
        sizes = self.sizes[rows]
        # From a place in the new keys to that in the old ones, and to the new row's.
        shift = np.repeat(self._splits[rows] - np.cumsum(sizes) + sizes, sizes)
        rise = np.repeat((np.arange(len(rows)) - rows) * self.num_items, sizes)
        keys = self._keys[shift + np.arange(len(shift))] + rise
        taken = ItemSets.__new__(ItemSets)
        taken._fill(keys, sizes, self.num_items)
        return taken

    def contains(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether each item is in the set of its row, bool of their shape."""
        wanted = rows * self.num_items + items
        if not len(self._keys):
            return np.zeros(wanted.shape, bool)
        places = np.searchsorted(self._keys, wanted)
        return self._keys[np.minimum(places, len(self._keys) - 1)] == wanted

    def others(self, rows: np.ndarray, ranks: np.ndarray) -> np.ndarray:
        """The item of each rank, from 0, among those that are not in the row's set."""
        below = np.searchsorted(self._gaps, rows * self.num_items + ranks, "right")
        return ranks + below - self._splits[rows]

    @functools.cached_property
    def _gaps(self) -> np.ndarray:
        """Of each item of a set, the number of smaller items outside it, as keys."""
        places = np.arange(len(self._keys)) - np.repeat(self._splits[:-1], self.sizes)
        return self._keys - places

    def _fill(self, keys, sizes, num_items):
        self.num_items = num_items
        self.sizes = sizes
        self._keys = keys  # row · num_items + item, sorted
        self._splits = np.concatenate([[0], np.cumsum(sizes)])
