"""TFRecords to batches for `model.fit`."""

from __future__ import annotations

import functools
import logging
import math
import os
from collections.abc import Sequence

from keras_recs.data.down_sample_frequent import DownSampleFrequent
from keras_recs.data.down_sample_negatives import DownSampleNegatives
from keras_recs.data.kept_examples import kept_examples
from keras_recs.data.manifest_damage import FileDamage, manifest_damage
from keras_recs.data.parse_examples import parse_examples
from keras_recs.data.parse_spec import parse_spec
from keras_recs.data.record_blocks import BLOCK, record_blocks
from keras_recs.data.record_source import RecordSource
from keras_recs.data.tfrecord_files import (
    TFRecordFile,
    count_records,
    find_damage,
    list_files,
)
from keras_recs.data.training_batch import training_batch
from keras_recs.schema import Schema


def tfrecord_dataset(
    files: str | os.PathLike | Sequence[str | os.PathLike],
    schema: Schema,
    batch_size: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    shuffle_buffer: int | None = None,
    drop_remainder: bool = False,
    on_damage: str = "fail",
    num_workers: int = 1,
    worker_index: int = 0,
    with_group: bool = False,
    down_sampling: DownSampleNegatives | DownSampleFrequent | None = None,
):
    """Reads, shuffles, parses and preprocesses TFRecords in batches.

    Args:
        files: path, glob or list of them, as `pipelines.prepare` writes them. `.gz`
            is decompressed.
        schema: a fitted `keras_recs.Schema`.
        batch_size: int. Examples a batch.
        shuffle: bool. Another order in each epoch: of the files, of which several are
            read in turn, and of the records within a window. `False`, as
            `model.predict` wants it so that predictions go with rows, keeps the order
            of the files. Defaults to `True`.
        seed: int. Seed of the order. Defaults to `0`.
        shuffle_buffer: int. Records in the window. Defaults to 16 batches.
        drop_remainder: bool. Leave out the last, smaller batch. Defaults to `False`.
        on_damage: `"fail"`: a missing or cut-off file raises at once, a damaged record
            when it is reached; the file and the offset are named. `"skip_file"`: all
            files are read once with their checksums before training; damaged and
            missing ones are left out, counted and logged as a warning. A file that is
            missing or cut off between two records can be known by a manifest alone:
            `write_tfrecords` and `prepare` leave one beside the files. Defaults to
            `"fail"`.
        num_workers: int. Workers that share the data. Each takes its own files or,
            where there are fewer files than workers, its own records. Defaults to `1`.
        worker_index: int. Which of them this is. Defaults to `0`.
        with_group: bool. Yield the schema's group key (strings `(B,)`) as a fourth
            element, for `keras_recs.evaluation` and the `validation` of
            `keras_recs.training.fit`; Keras's own `fit`, `evaluate` and `predict` do
            not take it. Defaults to `False`.
        down_sampling: `DownSampleNegatives` or `DownSampleFrequent`: which examples are
            left out, before anything else of them is parsed. All records are read once
            beforehand to count those that stay. Defaults to `None`: none.

    Returns:
        `tf.data.Dataset` with known cardinality of `(inputs, labels, weights)`: inputs
        as `SchemaPreprocessor` makes them, labels a dict of float32 `(B, 1)`, weights a
        dict of float32 `(B,)`, left out where no label has a weight.

    Raises:
        ValueError: for a schema that is not fitted, no files, a cut-off file, files
            that differ from their manifest, or arguments out of range. (A feature that
            none of the first records has is a warning: its name may be wrong.)
        tf.errors.InvalidArgumentError: while reading, for a damaged record.
        tf.errors.NotFoundError: while reading, for a file that is no longer there.
    """
    import tensorflow as tf

    schema.check_fitted("tfrecord_dataset")
    _check_arguments(batch_size, shuffle_buffer, on_damage, num_workers, worker_index)
    paths = list_files(files)
    records, damage = manifest_damage(files, paths)
    if on_damage == "skip_file":
        paths = _healthy(paths, records, damage)
    elif damage:
        raise ValueError(damage[0].message + _more(len(damage) - 1))
    counted = [
        TFRecordFile(path, records[path]) if path in records else count_records(path)
        for path in paths
    ]
    by_file = num_workers > 1 and len(counted) >= num_workers
    if by_file:
        counted = _own_files(counted, num_workers, worker_index)
    elif num_workers > 1:
        logging.info(
            "%d files for %d workers: each reads all and keeps its own records.",
            len(counted),
            num_workers,
        )
    num_records = sum(file.num_records for file in counted)
    _warn_of_absent_columns(counted, schema)

    cycle = min(len(counted), 8)  # files read at a time
    dataset = tf.data.Dataset.from_tensor_slices(
        (
            [file.path for file in counted],
            [file.compression for file in counted],
            tf.constant([file.num_records for file in counted], tf.int64),
        )
    )
    # There is nothing for AutoGraph to do, and its first look takes seconds.
    plain = tf.autograph.experimental.do_not_convert
    read_file = plain(_reader(schema, down_sampling))
    if down_sampling is not None:
        kept = dataset.flat_map(read_file)
        sizes = kept.map(plain(lambda block: tf.size(block, tf.int64)))
        num_records = int(sizes.reduce(tf.constant(0, tf.int64), tf.add))
    if shuffle:
        dataset = dataset.shuffle(len(counted), seed=seed)
        dataset = dataset.interleave(
            read_file,
            cycle_length=cycle,
            num_parallel_calls=min(cycle, 2),
            deterministic=True,
        )
    else:
        dataset = dataset.flat_map(read_file)
    if num_workers > 1 and not by_file:
        dataset = dataset.unbatch().shard(num_workers, worker_index).batch(BLOCK)
        num_records = len(range(worker_index, num_records, num_workers))
    if shuffle:
        dataset = _shuffled(dataset, shuffle_buffer or 16 * batch_size, seed)
    dataset = dataset.rebatch(batch_size, drop_remainder=drop_remainder)

    to_batch = training_batch(
        schema, with_group=with_group, down_sampling=down_sampling
    )
    dataset = dataset.map(
        plain(lambda r: to_batch(parse_examples(r, schema, features_only=False))),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    round_up = math.floor if drop_remainder else math.ceil
    steps = round_up(num_records / batch_size)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    dataset = dataset.prefetch(4)
    dataset.record_source = RecordSource(  # for parameter servers
        counted,
        schema,
        batch_size,
        shuffle,
        seed,
        shuffle_buffer or 16 * batch_size,
        drop_remainder,
        down_sampling,
    )
    return dataset


def _warn_of_absent_columns(files: list[TFRecordFile], schema: Schema) -> None:
    """A misspelt feature would read as missing everywhere."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    first = next((file for file in files if file.num_records), None)
    if first is None:
        return
    records = tf.data.TFRecordDataset(first.path, first.compression)
    found: set[str] = set()
    try:
        for record in records.take(BLOCK).as_numpy_iterator():
            found |= set(tf.train.Example.FromString(record).features.feature)
            if found.issuperset(schema.columns):
                return
    except (DecodeError, tf.errors.OpError):
        return  # no example, or damaged: reading it will say so
    logging.warning(
        "None of the first %d records of '%s' has %s: a missing value in each, or a "
        "name that differs? They have %s.",
        min(BLOCK, first.num_records),
        first.path,
        sorted(set(schema.columns) - found),
        sorted(found),
    )


def _shuffled(blocks, window: int, seed: int):
    """Permutes the records of each window, in another way in each epoch.

    A window of strings is permuted at once; `Dataset.shuffle` moves record by record.
    """
    import tensorflow as tf

    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    windows = tf.data.Dataset.zip(blocks.rebatch(window), seeds.batch(2))
    return windows.map(tf.random.experimental.stateless_shuffle)


def _reader(schema: Schema, down_sampling):
    """`record_blocks`, with what down-sampling leaves of each block."""
    if down_sampling is None:
        return record_blocks
    import tensorflow as tf

    column = down_sampling.column(schema)
    spec = {column: parse_spec(schema, features_only=False)[column]}
    chance_of = down_sampling.probabilities(schema)

    def keep(path, number, block):
        name = tf.strings.regex_replace(path, r".*[/\\]", "")
        numbers = number + tf.range(tf.size(block, tf.int64))  # (B,)
        chances = chance_of(tf.io.parse_example(block, spec)[column])
        kept = kept_examples(name, numbers, chances, down_sampling.seed)
        return tf.boolean_mask(block, kept)

    return functools.partial(record_blocks, each=keep)


def _check_arguments(batch_size, shuffle_buffer, on_damage, num_workers, worker_index):
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(
            "`batch_size` must be a positive integer. Received: "
            f"batch_size={batch_size!r}"
        )
    if shuffle_buffer is not None and shuffle_buffer < 1:
        raise ValueError(
            "`shuffle_buffer` must be a positive integer or None; `shuffle=False` "
            f"keeps the order. Received: shuffle_buffer={shuffle_buffer!r}"
        )
    if on_damage not in ("fail", "skip_file"):
        raise ValueError(
            "`on_damage` must be 'fail' or 'skip_file'. Received: "
            f"on_damage={on_damage!r}"
        )
    if not 0 <= worker_index < num_workers:
        raise ValueError(
            "`worker_index` must be at least 0 and below `num_workers`. Received: "
            f"worker_index={worker_index}, num_workers={num_workers}"
        )


def _more(count: int) -> str:
    return f" {count} more files are damaged or missing." if count else ""


def _healthy(
    paths: list[str], records: dict[str, int], damage: list[FileDamage]
) -> list[str]:
    """The files without damage; what is lost with the others is counted and logged."""
    skipped = list(damage)
    known = {file.path for file in damage}
    healthy = []
    for path in paths:
        if path in known:
            continue
        message = find_damage(path, records.get(path))
        if message is None:
            healthy.append(path)
        else:
            skipped.append(FileDamage(path, message, records.get(path)))
    for file in skipped:
        lost = "an unknown number of" if file.records is None else file.records
        logging.warning("Skipped a file, %s records. %s", lost, file.message)
    total = len(healthy) + len(skipped)
    if skipped:
        logging.warning(
            "%d of %d TFRecord files are skipped, with %d records and those of %d "
            "files that no manifest lists.",
            len(skipped),
            total,
            sum(file.records or 0 for file in skipped),
            sum(file.records is None for file in skipped),
        )
    if not healthy:
        raise ValueError(f"All {total} TFRecord files are damaged.")
    return healthy


def _own_files(
    files: list[TFRecordFile], num_workers: int, worker_index: int
) -> list[TFRecordFile]:
    """The files of a worker, so that all workers have about as many records."""
    loads = [(0, 0)] * num_workers  # records, files
    own = []
    for file in sorted(files, key=lambda f: (-f.num_records, f.path)):
        worker = loads.index(min(loads))
        records, count = loads[worker]
        loads[worker] = (records + file.num_records, count + 1)
        if worker == worker_index:
            own.append(file)
    return sorted(own, key=lambda f: f.path)
