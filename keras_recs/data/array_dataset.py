"""Columns in memory to batches for `model.fit`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from keras_recs.data.down_sample_frequent import DownSampleFrequent
from keras_recs.data.down_sample_negatives import DownSampleNegatives
from keras_recs.data.kept_examples import kept_examples
from keras_recs.data.raw_columns import raw_columns
from keras_recs.data.training_batch import training_batch
from keras_recs.schema import Schema

_PREPROCESS_ROWS = 65_536


def array_dataset(
    data: Any,
    schema: Schema,
    batch_size: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    drop_remainder: bool = False,
    with_group: bool = False,
    down_sampling: DownSampleNegatives | DownSampleFrequent | None = None,
):
    """Preprocesses columns that fit in memory, once, and yields them in batches.

    Args:
        data: dict of arrays or lists by column, or a pandas `DataFrame`. `None`, NaN
            and `""` are missing; multi-valued and sequence features are lists, or
            text with the feature's separator; integers of a string feature are taken as
            their decimal strings. Read a CSV file that a schema was fitted to with
            `pd.read_csv(file, dtype=str, keep_default_na=False)`: else pandas takes
            text such as "NA" for missing, and "007" for 7.
        schema: a fitted `keras_recs.Schema`.
        batch_size: int. Examples a batch.
        shuffle: bool. Another order in each epoch. `False`, as `model.predict` wants it
            so that predictions go with rows, keeps the order of the data. Defaults to
            `True`.
        seed: int. Seed of the order. Defaults to `0`.
        drop_remainder: bool. Leave out the last, smaller batch. Defaults to `False`.
        with_group: bool. Yield the schema's group key (strings `(B,)`) as a fourth
            element, for `keras_recs.evaluation` and the `validation` of
            `keras_recs.training.fit`; Keras's own `fit`, `evaluate` and `predict` do
            not take it. Defaults to `False`.
        down_sampling: `DownSampleNegatives` or `DownSampleFrequent`: which examples are
            left out. Defaults to `None`: none.

    Returns:
        `tf.data.Dataset` as `tfrecord_dataset` makes it.

    Raises:
        ValueError: for a schema that is not fitted, a missing column, columns of
            different lengths, or a value of the wrong type; the column is named.
    """
    import tensorflow as tf

    schema.check_fitted("array_dataset")
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(
            "`batch_size` must be a positive integer. Received: "
            f"batch_size={batch_size!r}"
        )
    columns = raw_columns(data, schema)
    num_rows = len(next(iter(columns.values())))
    to_batch = tf.function(
        training_batch(schema, with_group=with_group, down_sampling=down_sampling),
        autograph=False,
    )
    if down_sampling is not None:
        decides = down_sampling.column(schema)
        chance_of = down_sampling.probabilities(schema)
    parts = []
    # At least one part, so that no rows still give every column.
    for start in range(0, max(num_rows, 1), _PREPROCESS_ROWS):
        raw = {
            name: values.tensor(start, start + _PREPROCESS_ROWS)
            for name, values in columns.items()
        }
        if down_sampling is not None:
            size = len(raw[decides])
            numbers = tf.range(start, start + size, dtype=tf.int64)
            chances = chance_of(raw[decides])
            kept = kept_examples("", numbers, chances, down_sampling.seed)
            rows = tf.where(kept)[:, 0]
            raw = {name: tf.gather(values, rows) for name, values in raw.items()}
        parts.append(tf.nest.map_structure(lambda t: t.numpy(), to_batch(raw)))
    whole = tf.nest.map_structure(lambda *arrays: tf.constant(_join(arrays)), *parts)
    num_rows = len(tf.nest.flatten(whole)[0])

    rows = tf.data.Dataset.range(num_rows)
    if shuffle:
        rows = rows.shuffle(max(num_rows, 1), seed=seed)
    rows = rows.batch(batch_size, drop_remainder=drop_remainder)
    take = tf.autograph.experimental.do_not_convert(
        lambda index: tf.nest.map_structure(lambda t: tf.gather(t, index), whole)
    )
    dataset = rows.map(
        take,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    round_up = math.floor if drop_remainder else math.ceil
    steps = round_up(num_rows / batch_size)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return dataset.prefetch(4)


def _join(arrays) -> np.ndarray:
    """Parts one after another; multi-valued features are as wide as the widest."""
    if arrays[0].ndim == 2:
        width = max(array.shape[1] for array in arrays)
        arrays = [np.pad(a, ((0, 0), (0, width - a.shape[1]))) for a in arrays]
    return np.concatenate(arrays)
