"""TFRecords in chunks that workers take as they come to them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_recs.data.parse_examples import parse_examples
from keras_recs.data.record_blocks import record_blocks
from keras_recs.data.tfrecord_files import TFRecordFile
from keras_recs.data.training_batch import training_batch
from keras_recs.schema import Schema

_CHUNKS_A_WORKER = 4  # an epoch ends for all at about the same time
_CHUNKS_A_FILE = 16  # each reads past the ones before it


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Successive records of one file.

    Attributes:
        path: string.
        compression: string, as `tf.data.TFRecordDataset` takes it.
        first: int. Number of its first record in the file.
        num_records: int.
        num_steps: int. Batches that they make.
    """

    path: str
    compression: str
    first: int
    num_records: int
    num_steps: int


@dataclasses.dataclass(frozen=True)
class RecordSource:
    """What `tfrecord_dataset` reads, and how, for those who read parts of it elsewhere.

    Attributes:
        files: `TFRecordFile`s.
        schema: fitted `keras_recs.Schema`.
        batch_size: int.
        shuffle: bool.
        seed: int.
        shuffle_buffer: int. Records in the window that is permuted.
        drop_remainder: bool.
        down_sampling: what leaves examples out, or `None`.
    """

    files: Sequence[TFRecordFile]
    schema: Schema
    batch_size: int
    shuffle: bool
    seed: int
    shuffle_buffer: int
    drop_remainder: bool
    down_sampling: Any = None

    def chunks(self, num_workers: int) -> list[Chunk]:
        """Chunks of all files, the same in each process.

        There are about four a worker, so that an epoch ends for all at about the same
        time: fewer where there are not so many batches or a file would be more than 16,
        more where there are more files. The last batch of a chunk may be smaller.

        Args:
            num_workers: int.

        Raises:
            ValueError: for data that are down-sampled, whose number of steps is not
                known before they are read.
        """
        if self.down_sampling is not None:
            raise ValueError(
                "Parameter servers train records that are all kept, so that the number "
                "of steps is known. Leave out `down_sampling`; write the TFRecords of "
                "a sample instead. Received: "
                f"down_sampling={type(self.down_sampling).__name__}"
            )
        batches = sum(self._num_batches(file.num_records) for file in self.files)
        most = max(1, math.ceil(batches / (_CHUNKS_A_WORKER * num_workers)))
        chunks = []
        for file in self.files:
            parts = math.ceil(self._num_batches(file.num_records) / most)
            parts = max(1, min(parts, _CHUNKS_A_FILE))
            in_part = math.ceil(self._num_batches(file.num_records) / parts)
            size = max(1, in_part) * self.batch_size
            for first in range(0, file.num_records, size):
                count = min(size, file.num_records - first)
                steps = self._num_batches(count)
                if steps:
                    chunks.append(
                        Chunk(file.path, file.compression, first, count, steps)
                    )
        return chunks

    def tell_shares(self, num_workers: int) -> None:
        """Logs where workers share files, or have nothing to do."""
        chunks = self.chunks(num_workers)
        if len(self.files) < num_workers:
            logging.info(
                "%d files for %d workers: they share the records of each.",
                len(self.files),
                num_workers,
            )
        if len(chunks) < num_workers:
            logging.warning(
                "The data make %d chunks for %d workers: some have nothing to do. "
                "Write more files, or take smaller batches.",
                len(chunks),
                num_workers,
            )

    def batch_function(self) -> Callable:
        """Function of serialized records `(B,)`, which returns a training batch."""
        import tensorflow as tf

        to_batch = training_batch(self.schema)

        @tf.autograph.experimental.do_not_convert
        def parse(records):
            return to_batch(parse_examples(records, self.schema, features_only=False))

        return parse

    def fingerprint(self) -> str:
        """Of what decides which example is in which batch; names of files, no paths."""
        what = [
            [[Path(file.path).name, file.num_records] for file in self.files],
            [self.batch_size, self.shuffle, self.seed, self.shuffle_buffer],
            self.drop_remainder,
        ]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()

    def records(
        self, path, compression, first, num_records, epoch, number, done=0
    ) -> Any:
        """Blocks of the records of a chunk, in the order of an epoch.

        Args:
            path: string tensor.
            compression: string tensor.
            first: int64 tensor.
            num_records: int64 tensor.
            epoch: int64 tensor.
            number: int64 tensor. Of the chunk.
            done: int64 tensor. Batches that are left out at the beginning. Defaults to
                `0`.

        Returns:
            `tf.data.Dataset` of strings `(n,)`. It fails where the file is damaged.
        """
        import tensorflow as tf

        zero = tf.constant(0, tf.int64)
        past = tf.clip_by_value(done * self.batch_size, zero, num_records)
        size = self.shuffle_buffer if self.shuffle else 1
        window = past // size  # the first that is read
        start = window * size
        blocks = record_blocks(
            path, compression, num_records - start, first=first + start
        )
        if not self.shuffle:
            return blocks

        @tf.autograph.experimental.do_not_convert
        def permuted(place, records):
            seed = tf.random.experimental.stateless_fold_in(
                tf.stack([tf.constant(self.seed, tf.int64), epoch]), number
            )
            seed = tf.random.experimental.stateless_fold_in(seed, place)
            records = tf.random.experimental.stateless_shuffle(records, seed)
            return records[tf.where(tf.equal(place, window), past - start, zero) :]

        return blocks.rebatch(size).enumerate(window).map(permuted)

    def batches(self, records: Any, to_batch: Callable) -> Any:
        """Training batches of blocks of records.

        Args:
            records: what `records` returns.
            to_batch: what `batch_function` returns.
        """
        import tensorflow as tf

        blocks = records.rebatch(self.batch_size, drop_remainder=self.drop_remainder)
        made = blocks.map(
            to_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return made.prefetch(4)

    def _num_batches(self, num_records: int) -> int:
        if self.drop_remainder:
            return num_records // self.batch_size
        return math.ceil(num_records / self.batch_size)
