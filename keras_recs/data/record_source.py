"""TFRecords in chunks that workers take as they come to them."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Sequence
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
        """Chunks of all files, about four or more a worker, the same in each process.

        The last batch of a chunk may be smaller.

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
        return chunks

    def batch_function(self) -> Callable:
        """Function of serialized records `(B,)`, which returns a training batch."""
        to_batch = training_batch(self.schema)

        def parse(records):
            return to_batch(parse_examples(records, self.schema, features_only=False))

        return parse

    def records(self, path, compression, first, num_records, epoch, number) -> Any:
        """Blocks of the records of a chunk, in the order of an epoch.

        Args:
            path: string tensor.
            compression: string tensor.
            first: int64 tensor.
            num_records: int64 tensor.
            epoch: int64 tensor.
            number: int64 tensor. Of the chunk.

        Returns:
            `tf.data.Dataset` of strings `(n,)`. It fails where the file is damaged.
        """
        import tensorflow as tf

        read = tf.data.TFRecordDataset(path, compression, buffer_size=1 << 20)
        read = record_blocks(path, read.skip(first).take(num_records))
        end = tf.data.Dataset.from_tensors(tf.constant([], tf.string))

        def count(seen, block):
            is_end = tf.equal(tf.size(block), 0)
            check = tf.debugging.Assert(
                tf.logical_or(tf.logical_not(is_end), tf.equal(seen, num_records)),
                [
                    "Damaged TFRecord file",
                    path,
                    "after record",
                    first + seen,
                    "of",
                    first + num_records,
                    "- write it again, or leave it out with on_damage='skip_file'",
                ],
            )
            with tf.control_dependencies([check]):
                return seen + tf.size(block, tf.int64), block

        zero = tf.constant(0, tf.int64)
        blocks = read.concatenate(end).scan(zero, count)
        if not self.shuffle:
            return blocks
        window = blocks.rebatch(self.shuffle_buffer).enumerate()

        def permuted(place, records):
            seed = tf.random.experimental.stateless_fold_in(
                tf.stack([tf.constant(self.seed, tf.int64), epoch]), number
            )
            seed = tf.random.experimental.stateless_fold_in(seed, place)
            return tf.random.experimental.stateless_shuffle(records, seed)

        return window.map(permuted)

    def batches(self, records: Any, to_batch: Callable, done: Any = 0) -> Any:
        """Training batches of blocks of records.

        Args:
            records: what `records` returns.
            to_batch: what `batch_function` returns.
            done: int64 tensor. Batches to pass over. Defaults to `0`.
        """
        import tensorflow as tf

        blocks = records.rebatch(self.batch_size, drop_remainder=self.drop_remainder)
        made = blocks.skip(done).map(
            to_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return made.prefetch(4)

    def _num_batches(self, num_records: int) -> int:
        if self.drop_remainder:
            return num_records // self.batch_size
        return math.ceil(num_records / self.batch_size)
