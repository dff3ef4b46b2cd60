"""Records that travel together from a TFRecord file."""

from __future__ import annotations

from typing import Any

BLOCK = 512  # records


def record_blocks(path: Any, records: Any) -> Any:
    """Blocks of records, which end where the file is damaged.

    Args:
        path: string tensor.
        records: `tf.data.TFRecordDataset` of it, or a part of that.

    Returns:
        `tf.data.Dataset` of strings `(n,)`. A file that cannot be opened is an error.
    """
    import tensorflow as tf

    # It would be tried again for ever below: it fails here before.
    opened = tf.data.FixedLengthRecordDataset(path, 1, buffer_size=1).take(1).batch(1)
    nothing = opened.filter(lambda _: tf.constant(False))
    return nothing.concatenate(records.ignore_errors(log_warning=False).batch(BLOCK))
