"""Records that travel together from a TFRecord file, and what is damaged there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

BLOCK = 512  # records


def record_blocks(
    path: Any,
    compression: Any,
    num_records: Any,
    *,
    first: Any = None,
    each: Callable | None = None,
) -> Any:
    """Blocks of the records of one file; fails where it is damaged.

    `TFRecordDataset` itself names the offset but not the file. Here a damaged record
    ends the stream, and the count that then falls short raises with both.

    Args:
        path: string tensor.
        compression: string tensor, as `tf.data.TFRecordDataset` takes it.
        num_records: int64 tensor. How many there must be.
        first: int64 tensor. Number in the file of the first of them; damage before it
            is not seen. Defaults to `None`: all of the file.
        each: function of the path, the number of a block's first record and the block,
            that returns what is left of it. Defaults to `None`: all.

    Returns:
        `tf.data.Dataset` of strings `(n,)`, at last an empty one. A file that cannot be
        opened is an error.
    """
    import tensorflow as tf

    records = tf.data.TFRecordDataset(path, compression, buffer_size=1 << 20)
    if first is not None:
        records = records.skip(first).take(num_records)
    # It would be tried again for ever below: it fails here before.
    opened = tf.data.FixedLengthRecordDataset(path, 1, buffer_size=1).take(1).batch(1)
    nothing = opened.filter(lambda _: tf.constant(False))
    blocks = records.ignore_errors(log_warning=False).batch(BLOCK)
    end = tf.data.Dataset.from_tensors(tf.constant([], tf.string))
    before = tf.constant(0, tf.int64) if first is None else first

    def count(state, block):
        seen, offset = state
        is_end = tf.equal(tf.size(block), 0)
        check = tf.Assert(
            tf.logical_or(tf.logical_not(is_end), tf.equal(seen, num_records)),
            [
                "Damaged TFRecord file",
                path,
                *(["at byte", offset] if first is None else []),
                "after record",
                before + seen,
                "of",
                before + num_records,
                "- write it again, or leave it out with on_damage='skip_file'",
            ],
        )
        number = before + seen
        with tf.control_dependencies([check]):
            seen += tf.size(block, tf.int64)
        offset += tf.reduce_sum(tf.cast(tf.strings.length(block) + 16, tf.int64))
        if each is not None:
            block = each(path, number, block)
        return (seen, offset), block

    zero = tf.constant(0, tf.int64)
    return nothing.concatenate(blocks).concatenate(end).scan((zero, zero), count)
