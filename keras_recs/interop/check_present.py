"""Labels and weights must be there."""

from __future__ import annotations

from keras_recs.schema import Column


def check_present(values, column: Column, path):
    """Passes the values of a required column on, if none is missing.

    Args:
        values: tensor `(B,)` of the column's dtype.
        column: `Column` of the schema.
        path: string tensor, the file `()`, or the file of each value `(B,)`.

    Raises:
        tf.errors.InvalidArgumentError: while reading, if a value is missing; column
            and file are named.
    """
    import tensorflow as tf

    if not column.required or column.dtype == "int64":
        return values
    missing = values == "" if column.dtype == "string" else tf.math.is_nan(values)
    if path.shape.rank:
        path = tf.boolean_mask(path, missing)[:1]
    # Without quotes, which TensorFlow would escape.
    message = f"Column {column.name} must have a value in every row. Missing in:"
    check = tf.Assert(tf.logical_not(tf.reduce_any(missing)), [message, path])
    with tf.control_dependencies([check]):
        return tf.identity(values)
