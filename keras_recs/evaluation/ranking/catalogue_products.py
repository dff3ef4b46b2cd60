"""Scores of a catalogue, a chunk of users and items at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

# Chunks of this size keep both cores of a small machine busy, and what is done with
# their scores stays near the caches.
_QUERIES, _ITEMS = 512, 8192
_STEP = 16  # fewer queries at once are multiplied by other, less regular code


class CatalogueProducts:
    """Inner products of users with all items, which are never held all at once.

    All products have one shape, the last chunks being filled up with zeros: so equal
    rows of `items` have scores that are equal bit by bit, wherever they stand.

    Args:
        queries: `(U, D)`.
        items: `(V, D)`; arrays on disk (`numpy.memmap`) are read in chunks.
        item_bias: `(V,)` or `None`.
        bytes_per_score: int. What a user and item of a chunk need in all.
        bytes_per_query: int. What a user of a chunk needs beside.
        memory_bytes: int. What chunks may need.

    Raises:
        ValueError: for shapes that do not fit, and too little memory.
    """

    def __init__(
        self,
        queries: Any,
        items: Any,
        item_bias: Any,
        bytes_per_score: int,
        bytes_per_query: int,
        memory_bytes: int,
    ):
        self.queries, self.items = np.asarray(queries), np.asarray(items)
        shapes = self.queries.shape, self.items.shape
        if not len(shapes[0]) == len(shapes[1]) == 2 or shapes[0][1] != shapes[1][1]:
            raise ValueError(
                "`queries` and `items` must be matrices whose rows have one length. "
                f"Received: shapes {shapes[0]} and {shapes[1]}"
            )
        self.num_queries, self.num_items = len(self.queries), len(self.items)
        self.bias = None
        if item_bias is not None:
            self.bias = np.asarray(item_bias, "float32")
            if self.bias.shape != (self.num_items,):
                raise ValueError(
                    f"`item_bias` must be a number for each of {self.num_items} items. "
                    f"Received: shape {self.bias.shape}"
                )
        dim = shapes[0][1]

        def needed(rows, columns):
            per_query = bytes_per_score * columns + bytes_per_query + 4 * dim
            return rows * per_query + columns * (4 * dim + 4)

        rows = min(_QUERIES, _rounded_up(self.num_queries))
        columns = max(min(_ITEMS, _rounded_up(self.num_items)), rows)
        while rows > _STEP and needed(rows, columns) > memory_bytes:
            rows -= _STEP
        while columns > rows and needed(rows, columns) > memory_bytes:
            columns -= _STEP
        if needed(rows, columns) > memory_bytes:
            raise ValueError(
                f"`memory_bytes` must be at least {needed(rows, columns)} for these "
                f"sizes. Received: memory_bytes={memory_bytes}"
            )
        self.rows, self.columns = rows, columns
        self._scores = np.empty((rows, columns), "float32")

    def query_chunks(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """First and last user + 1 of each chunk, and `(rows, D)` queries."""
        for start in range(0, self.num_queries, self.rows):
            stop = min(start + self.rows, self.num_queries)
            yield start, stop, _filled(self.queries[start:stop], self.rows)

    def item_chunks(self, queries: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """First item of each chunk, and `(rows, n)` scores, overwritten by the next."""
        for start in range(0, self.num_items, self.columns):
            stop = min(start + self.columns, self.num_items)
            bias = None if self.bias is None else self.bias[start:stop]
            self._multiply(queries, self.items[start:stop], bias)
            yield start, self._scores[:, : stop - start]

    def scores_of(self, queries: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """The score of one item for each of the first queries of a chunk."""
        bias = None if self.bias is None else self.bias[ids]
        self._multiply(queries, self.items[ids], bias)
        return self._scores.diagonal()[: len(ids)].copy()

    def _multiply(self, queries, items, bias):
        with np.errstate(over="ignore", invalid="ignore"):
            items = _filled(items, self.columns)
            np.matmul(queries, items.T, out=self._scores)
            if bias is not None:
                self._scores[:, : len(bias)] += bias


def _rounded_up(size: int) -> int:
    return max(-(-size // _STEP), 1) * _STEP


def _filled(rows: np.ndarray, size: int) -> np.ndarray:
    """Contiguous float32 rows, with zeros behind them."""
    if len(rows) == size:
        return np.ascontiguousarray(rows, "float32")
    filled = np.zeros((size, rows.shape[1]), "float32")
    filled[: len(rows)] = rows
    return filled
