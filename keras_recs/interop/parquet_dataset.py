"""Parquet files to batches for `model.fit`, through tensorflow-io."""

from __future__ import annotations

import math
import os

from keras_recs.data.training_batch import training_batch
from keras_recs.interop.check_present import check_present
from keras_recs.interop.file_guard import FileGuard
from keras_recs.interop.import_tensorflow_io import import_tensorflow_io
from keras_recs.interop.list_files import Files, list_files
from keras_recs.interop.parquet_source import ParquetSource
from keras_recs.interop.raw_value import raw_value
from keras_recs.interop.training_columns import training_columns
from keras_recs.schema import Schema

_BLOCK = 32_768  # rows read at once; each read skips from the start of the row group
_SHUFFLE_BLOCKS = 4
_SHUFFLE_BATCHES = 16
_seen: dict[str, list[str]] = {}  # contents of each path in this process


def parquet_dataset(
    files: Files,
    schema: Schema,
    batch_size: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    drop_remainder: bool = False,
    with_group: bool = False,
):
    """Reads Parquet files with tensorflow-io and preprocesses them in batches.

    A missing value must be written as NaN or as empty text: tensorflow-io misreads
    columns with nulls, and list columns, so files that have them in a needed column are
    refused before anything is read. A multi-valued or sequence feature is text with the
    feature's separator. Integers of a string feature are taken as their decimal
    strings, floats of any width as float32.

    Args:
        files: path, glob or list of them.
        schema: a fitted `keras_recs.Schema`. Its timestamp is not read.
        batch_size: int. Examples a batch.
        shuffle: bool. Another order in each epoch: of blocks of up to 32,768 rows, and
            of the rows of every four blocks or 16 batches, whichever are more. `False`
            keeps the order of the files. Defaults to `True`.
        seed: int. Seed of the order. Defaults to `0`.
        drop_remainder: bool. Leave out the last, smaller batch. Defaults to `False`.
        with_group: bool. Yield the schema's group key (strings `(B,)`) as a fourth
            element, for `keras_recs.evaluation` and the `validation` of
            `keras_recs.training.fit`; Keras's own `fit`, `evaluate` and `predict` do
            not take it. Defaults to `False`.

    Returns:
        `tf.data.Dataset` with known cardinality of `(inputs, labels, weights)`, as
        `keras_recs.data.tfrecord_dataset` makes it: inputs as `SchemaPreprocessor`
        makes them, labels a dict of float32 `(B, 1)`, weights a dict of float32
        `(B,)`, left out where no label has a weight.

    Raises:
        ImportError: where tensorflow-io or its TensorFlow is not installed.
        ValueError: for a schema that is not fitted, no files, a missing column, a
            column of the wrong type, with nulls or lists, or with an encoding that
            tensorflow-io does not read; file and column are named.
        tf.errors.InvalidArgumentError: while reading, for a label or weight that is
            missing, or a file that has changed since.
    """
    schema.check_fitted("parquet_dataset")
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(
            "`batch_size` must be a positive integer. Received: "
            f"batch_size={batch_size!r}"
        )
    to_batch = training_batch(schema, with_group=with_group)
    import_tensorflow_io("parquet_dataset")
    import tensorflow as tf

    columns = training_columns(schema, with_group=with_group)
    sources = [ParquetSource.open(path, columns) for path in list_files(files)]
    for source in sources[1:]:
        _check_same_types(sources[0], source)

    dataset = tf.data.Dataset.from_tensor_slices(_blocks(sources))
    if shuffle:
        dataset = dataset.shuffle(max(len(dataset), 1), seed=seed)
    # tensorflow-io reads one column at a time, whatever is asked for.
    dataset = dataset.map(_reader(sources[0], columns))
    if shuffle:
        window = max(_SHUFFLE_BLOCKS * _BLOCK, _SHUFFLE_BATCHES * batch_size)
        seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
        dataset = tf.data.Dataset.zip((dataset.rebatch(window), seeds))
        dataset = dataset.map(_shuffled)
    dataset = dataset.rebatch(batch_size, drop_remainder=drop_remainder)
    dataset = dataset.map(
        lambda block: to_batch(
            {name: raw_value(block[name], column) for name, column in columns.items()}
        ),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    round_up = math.floor if drop_remainder else math.ceil
    steps = round_up(sum(source.num_rows for source in sources) / batch_size)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return dataset.prefetch(4)


def _check_same_types(first: ParquetSource, other: ParquetSource) -> None:
    for name, type_name in first.type_names.items():
        found = (other.dtypes[name], other.unsigned.get(name))
        if found != (first.dtypes[name], first.unsigned.get(name)):
            raise ValueError(
                "All files must have the same type in a column. Received: column "
                f"'{name}' is {type_name} in '{first.guard.path}' and "
                f"{other.type_names[name]} in '{other.guard.path}'."
            )


def _blocks(sources: list[ParquetSource]) -> dict:
    """Rows to read at once, which lie in one row group, in the order of the files."""
    import tensorflow as tf

    texts, numbers = [], []
    for source in sources:
        path, identity = source.guard.path, source.guard.identity
        name = _fresh_name(path, identity)
        stop = 0
        for rows in source.group_rows:
            start, stop = stop, stop + rows
            for row in range(start, stop, _BLOCK):
                texts.append((path, identity, name))
                numbers.append((source.num_rows, row, min(row + _BLOCK, stop)))
    blocks: dict = {}
    for keys, values, dtype in (
        (("path", "identity", "name"), texts, tf.string),
        (("num_rows", "start", "stop"), numbers, tf.int64),
    ):
        for i, key in enumerate(keys):
            blocks[key] = tf.constant([value[i] for value in values], dtype)
    return blocks


def _fresh_name(path: str, identity: str) -> str:
    """A path to the file that no earlier content of it had.

    tensorflow-io keeps an opened file by its name, also when the file is replaced.
    """
    seen = _seen.setdefault(path, [])
    if identity not in seen:
        seen.append(identity)
    folder, name = os.path.split(path)
    return os.path.join(folder, *["."] * seen.index(identity), name)


def _reader(source: ParquetSource, columns):
    """Function that reads the columns of a block.

    `tensorflow_io.IODataset.from_parquet` reads the same operation value by value.
    """
    import tensorflow as tf
    from tensorflow_io.python.ops import core_ops

    def read(block):
        path = FileGuard.check(block["path"], block["identity"])
        values = {}
        with tf.control_dependencies([path]):
            for name, column in columns.items():
                value = core_ops.io_parquet_readable_read(
                    input=block["name"],
                    shared=block["name"],
                    component=name,
                    shape=block["num_rows"][None],
                    start=block["start"],
                    stop=block["stop"],
                    dtype=tf.as_dtype(source.dtypes[name]),
                    container="ParquetIODataset",
                )
                value = tf.ensure_shape(value, (None,))  # (rows of the block,)
                if name in source.unsigned:
                    value = tf.bitcast(value, source.unsigned[name])
                if not column.is_list:
                    value = check_present(raw_value(value, column), column, path)
                values[name] = value
        return values

    return read


def _shuffled(rows, seed):
    """The rows of a window in another order."""
    import tensorflow as tf

    count = tf.shape(next(iter(rows.values())))[0]
    order = tf.random.experimental.stateless_shuffle(tf.range(count), seed)
    return {name: tf.gather(values, order) for name, values in rows.items()}
