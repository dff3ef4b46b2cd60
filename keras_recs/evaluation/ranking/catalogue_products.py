"""Scores of a catalogue, a chunk of users and items at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

# The threads of a product wait for each other at its end, which costs most where other
# programs run: few large products lose less by it.
_QUERIES, _ITEMS = 1024, 16384
_STEP = 16


class CatalogueProducts:
    """Inner products of users with all items, which are never held all at once.

    They are NumPy's, whose product was measured to be faster than TensorFlow's on two
    cores (benchmarks/catalogue.py), and fills the same memory again and again.

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
        columns = min(_ITEMS, _rounded_up(self.num_items))
        while rows > _STEP and needed(rows, columns) > memory_bytes:
            rows -= _STEP
        while columns > _STEP and needed(rows, columns) > memory_bytes:
            columns -= _STEP
        if needed(rows, columns) > memory_bytes:
            raise ValueError(
                f"`memory_bytes` must be at least {needed(rows, columns)} for these "
                f"sizes. Received: memory_bytes={memory_bytes}"
            )
        self.rows, self.columns = rows, columns
        self._scores = np.empty(rows * columns, "float32")

    def query_chunks(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """First user, last user + 1 and the `(rows, D)` queries of each chunk."""
        for start in range(0, self.num_queries, self.rows):
            stop = min(start + self.rows, self.num_queries)
            yield start, stop, _float32(self.queries[start:stop])

    def item_chunks(self, queries: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """First item of each chunk, and `(rows, n)` scores, overwritten by the next."""
        for start in range(0, self.num_items, self.columns):
            stop = min(start + self.columns, self.num_items)
            shape = len(queries), stop - start
            scores = self._scores[: shape[0] * shape[1]].reshape(shape)
            with np.errstate(over="ignore", invalid="ignore"):
                np.matmul(queries, _float32(self.items[start:stop]).T, out=scores)
                if self.bias is not None:
                    scores += self.bias[start:stop]
            yield start, scores

    def scores_of(self, queries: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """The score of one item for each query of a chunk."""
        with np.errstate(over="ignore", invalid="ignore"):
            scores = np.einsum("ud,ud->u", queries, _float32(self.items[ids]))
            return scores if self.bias is None else scores + self.bias[ids]

    def item_rows(self, ids: np.ndarray) -> np.ndarray:
        """All numbers of some items, the bias the last one."""
        rows = _float32(self.items[ids])
        if self.bias is None:
            return rows
        return np.concatenate([rows, self.bias[ids, None]], axis=1)


def _rounded_up(size: int) -> int:
    return max(-(-size // _STEP), 1) * _STEP


def _float32(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows, "float32")
