"""Rows of a chunk to pieces of TFRecord files, in a worker."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Sequence

import numpy as np

from keras_recs.data.encode_records import Records, encode_records
from keras_recs.data.split import SPLITS
from keras_recs.preprocessing.reading.column_plan import ColumnPlan
from keras_recs.preprocessing.reading.parse_chunk import ParsedChunk

_GZIP_LEVEL = 2


@dataclasses.dataclass
class ShardPiece:
    """Consecutive records of a chunk for one file.

    Attributes:
        split: string.
        shard: int.
        rows: int.
        data: bytes, compressed where the files are.
    """

    split: str
    shard: int
    rows: int
    data: bytes


class EncodeStep:
    """A `Step` that encodes all rows.

    A chunk's rows of a split are dealt to its files in equal, consecutive parts; the
    first part goes to another file in each chunk. So files are of equal length, and do
    not depend on which worker had which chunk.

    Args:
        columns: names of the columns to write.
        num_shards: int. Files a split.
        compression: `None` or `"GZIP"`.
    """

    plans: tuple[ColumnPlan, ...] = ()

    def __init__(
        self, columns: Sequence[str], num_shards: int, compression: str | None
    ):
        self.columns = tuple(columns)
        self.num_shards = num_shards
        self.compression = compression

    def start(self) -> None:
        """Nothing to prepare."""

    def add(self, chunk: ParsedChunk, splits: np.ndarray | None) -> list[ShardPiece]:
        """Encodes a chunk."""
        columns = {name: chunk.columns[name] for name in self.columns}
        records = encode_records(columns, len(chunk))
        if splits is None:
            return self._pieces(chunk.index, SPLITS[0], records)
        pieces = []
        for number, split in enumerate(SPLITS):
            rows = np.flatnonzero(splits == number)
            if len(rows):
                pieces += self._pieces(chunk.index, split, records.select(rows))
        return pieces

    def finish(self) -> None:
        """Nothing to give."""

    def _pieces(self, index: int, split: str, records: Records) -> list[ShardPiece]:
        pieces = []
        for part in range(self.num_shards):
            start = len(records) * part // self.num_shards
            stop = len(records) * (part + 1) // self.num_shards
            if start == stop:  # an empty gzip member would end the file
                continue
            data = records.slice(start, stop)
            if self.compression:
                data = gzip.compress(data, _GZIP_LEVEL, mtime=0)
            shard = (index + part) % self.num_shards
            pieces.append(ShardPiece(split, shard, stop - start, data))
        return pieces
