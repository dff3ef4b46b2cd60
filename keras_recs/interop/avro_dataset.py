"""Avro files to batches for `model.fit`, through tensorflow-io."""

from __future__ import annotations

import math

from keras_recs.data.training_batch import training_batch
from keras_recs.interop.avro_source import AvroSource
from keras_recs.interop.check_present import check_present
from keras_recs.interop.file_guard import FileGuard
from keras_recs.interop.import_tensorflow_io import import_tensorflow_io
from keras_recs.interop.list_files import Files, list_files
from keras_recs.interop.raw_value import raw_value
from keras_recs.interop.training_columns import training_columns
from keras_recs.schema import MISSING_ID, Column, Schema

_FILES_AT_ONCE = 8
_RUN = 128  # records that travel together from a file
_SHUFFLE_BATCHES = 16
_NULL_INTEGER = -(2**63)


def avro_dataset(
    files: Files,
    schema: Schema,
    batch_size: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    drop_remainder: bool = False,
    with_group: bool = False,
):
    """Reads Avro files with tensorflow-io and preprocesses them in batches.

    A field may be null (a union with `"null"`), which is a missing value; a boolean may
    not. A multi-valued or sequence feature is an array of strings or integers, neither
    it nor its items null, or text with the feature's separator. Fields that
    tensorflow-io misreads are refused before anything is read. Integers of a string
    feature are taken as their decimal strings, floats of any width as float32.

    Args:
        files: path, glob or list of them.
        schema: a fitted `keras_recs.Schema`. Its timestamp is not read.
        batch_size: int. Examples a batch.
        shuffle: bool. Another order in each epoch: of the files, and in a buffer of 16
            batches. `False` keeps the order of the files. Defaults to `True`.
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
        ValueError: for a schema that is not fitted, no files, a file that is cut off, a
            missing field, or one of a type that tensorflow-io does not read right; file
            and field are named.
        tf.errors.InvalidArgumentError: while reading, for a label or weight that is
            missing, or a file that has changed since.
    """
    schema.check_fitted("avro_dataset")
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(
            "`batch_size` must be a positive integer. Received: "
            f"batch_size={batch_size!r}"
        )
    to_batch = training_batch(schema, with_group=with_group)
    import_tensorflow_io("avro_dataset")
    import tensorflow as tf

    columns = training_columns(schema, with_group=with_group)
    sources = [AvroSource.open(path, columns) for path in list_files(files)]
    for source in sources[1:]:
        _check_same_types(sources[0], source)
    num_records = sum(source.num_records for source in sources)

    dataset = tf.data.Dataset.from_tensor_slices(
        (
            [source.guard.path for source in sources],
            [source.guard.identity for source in sources],
            [source.reader_schema for source in sources],
        )
    )
    read_file = _file_reader(sources[0])
    if shuffle:
        dataset = dataset.shuffle(len(sources), seed=seed)
        dataset = dataset.interleave(
            read_file,
            cycle_length=_FILES_AT_ONCE,
            block_length=_RUN,
            num_parallel_calls=2,
            deterministic=True,
        )
        buffer = min(_SHUFFLE_BATCHES * batch_size, max(num_records, 1))
        dataset = dataset.shuffle(buffer, seed=seed)
    else:
        dataset = dataset.flat_map(read_file)
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    parse = _parser(sources[0], columns)
    dataset = dataset.map(
        lambda records: to_batch(parse(records)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    round_up = math.floor if drop_remainder else math.ceil
    steps = round_up(num_records / batch_size)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return dataset.prefetch(4)


def _check_same_types(first: AvroSource, other: AvroSource) -> None:
    for name in (*first.scalars, *first.arrays):
        forms = [
            source.scalars.get(name, {"items": source.arrays.get(name)})
            for source in (first, other)
        ]
        if forms[0] != forms[1]:
            raise ValueError(
                "All files must have the same type in a field. Received: field "
                f"'{name}' is {forms[0]} in '{first.guard.path}' and {forms[1]} in "
                f"'{other.guard.path}'."
            )


def _file_reader(source: AvroSource):
    """Function that reads the records of a file: encoded scalars, and arrays.

    `parse_avro` corrupts the memory when it reads arrays, `ATDSDataset` does not read
    nulls: each reads what it reads right, in the order of the file.
    """
    import tensorflow as tf
    import tensorflow_io as tfio
    from tensorflow_io.python.experimental.atds.dataset import ATDSDataset
    from tensorflow_io.python.experimental.atds.features import VarlenFeature

    features = {
        name: VarlenFeature([-1], _dtype(form)) for name, form in source.arrays.items()
    }

    def read_file(path, identity, reader_schema):
        path = FileGuard.check(path, identity)
        parts = {"path": tf.data.Dataset.from_tensors(path).repeat()}
        if source.scalars:
            parts["scalars"] = tfio.experimental.columnar.AvroRecordDataset(
                path, reader_schema=reader_schema
            )
        if features:
            arrays = ATDSDataset(path[None], batch_size=_RUN, features=features)
            parts["arrays"] = arrays.map(_ragged).unbatch()
        return tf.data.Dataset.zip(parts)

    return read_file


def _ragged(arrays):
    import tensorflow as tf

    return {name: tf.RaggedTensor.from_sparse(rows) for name, rows in arrays.items()}


def _parser(source: AvroSource, columns: dict[str, Column]):
    """Function of a batch of what `read_file` reads, which returns raw columns."""
    import tensorflow as tf
    import tensorflow_io as tfio

    missing = {
        tf.string: "",
        tf.int64: _NULL_INTEGER,
        tf.float64: float("nan"),
        tf.bool: None,
    }
    features = {}
    for name, form in source.scalars.items():
        dtype = _dtype(form)
        features[name] = tf.io.FixedLenFeature((), dtype, missing[dtype])

    def parse(records):
        values = dict(records.get("arrays", {}))
        if features:
            values |= tfio.experimental.columnar.parse_avro(
                records["scalars"], source.reader_schema, features
            )
        raw = {}
        for name, column in columns.items():
            value = values[name]
            if not column.is_list:
                value = tf.ensure_shape(value, (None,))  # (B,)
            if value.dtype == tf.int64 and name in features:
                raw[name] = _integers_or_null(value, column)
            else:
                raw[name] = raw_value(value, column)
            if not column.is_list:
                raw[name] = check_present(raw[name], column, records["path"])
        return raw

    return parse


def _integers_or_null(values, column: Column):
    """Raw values of integers, some of which may be null."""
    import tensorflow as tf

    missing = {"string": "", "int64": MISSING_ID, "float32": float("nan")}
    null = tf.constant(missing[column.dtype], column.dtype)
    return tf.where(values == _NULL_INTEGER, null, raw_value(values, column))


def _dtype(form):
    """The dtype of an Avro type in tensorflow-io."""
    import tensorflow as tf

    dtypes = {
        "boolean": tf.bool,
        "double": tf.float64,
        "int": tf.int32,
        "long": tf.int64,
    }
    return dtypes.get(form, tf.string) if isinstance(form, str) else tf.string
