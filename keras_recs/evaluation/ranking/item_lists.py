"""A list of items for each user."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class ItemLists:
    """A list of items for each user, of any length, end to end in one array.

    Items are rows of the catalogue, counted from 0. User b has
    `items[offsets[b]:offsets[b + 1]]`.

    Args:
        items: `(N,)` integers of at least 0.
        offsets: `(B + 1,)` integers: where each user's list begins, and N.

    Raises:
        ValueError: for items that are no such integers, and offsets that do not begin
            with 0, decrease or end elsewhere.

    Example:
    >>> seen = keras_recs.evaluation.ItemLists.from_lists([[4, 2], [], [7]])
    >>> len(seen), seen[0].tolist(), seen.lengths.tolist()
    (3, [4, 2], [2, 0, 1])
    """

    items: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        for name in ("items", "offsets"):
            values = np.asarray(getattr(self, name))
            if values.ndim != 1 or not (values.dtype.kind in "iu" or not values.size):
                raise ValueError(
                    f"`{name}` must be a vector of integers. Received: {name} of shape "
                    f"{values.shape} and dtype {values.dtype}"
                )
            object.__setattr__(self, name, values.astype("int64", copy=False))
        ends = self.offsets[[0, -1]].tolist() if len(self.offsets) else []
        if ends != [0, len(self.items)] or (np.diff(self.offsets) < 0).any():
            raise ValueError(
                "`offsets` must begin with 0, not decrease and end with the number of "
                f"items, {len(self.items)}. Received: offsets={self.offsets}"
            )
        if (self.items < 0).any():
            place = int(np.argmax(self.items < 0))
            raise ValueError(
                "`items` must be rows of the catalogue, from 0. Received: "
                f"{self.items[place]} of user {self.users[place]}"
            )

    @classmethod
    def from_lists(cls, lists: Iterable[Sequence[int] | np.ndarray]) -> ItemLists:
        """Joins the lists of the users.

        Args:
            lists: a sequence of integers for each user.
        """
        arrays = [np.asarray(items) for items in lists]
        offsets = np.cumsum([0, *map(len, arrays)])
        filled = [items for items in arrays if items.size]
        return cls(np.concatenate(filled) if filled else np.empty(0, int), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, user: int) -> np.ndarray:
        """Items of one user."""
        if not 0 <= user < len(self):
            raise IndexError(f"`user` must be in 0 … {len(self) - 1}. Received: {user}")
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """How many items each user has, `(B,)`."""
        return np.diff(self.offsets)

    @property
    def users(self) -> np.ndarray:
        """The user of each item, `(N,)`."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def part(self, start: int, stop: int) -> ItemLists:
        """The lists of the users `start` … `stop - 1`.

        Args:
            start, stop: ints.
        """
        offsets = self.offsets[start : stop + 1]
        return ItemLists(self.items[offsets[0] : offsets[-1]], offsets - offsets[0])
