"""Values as a file holds them to the raw values of the schema."""

from __future__ import annotations

from keras_recs.schema import Column

_INTEGER = r"[+-]?[0-9]{1,19}"


def raw_value(values, column: Column):
    """Converts a column of a batch to what `SchemaPreprocessor` takes.

    Args:
        values: tensor `(B,)` of strings, integers, floats or booleans, or for a list
            column strings `(B,)` with separators or a `tf.RaggedTensor` `(B, None)`.
        column: `Column` of the schema.

    Returns:
        Tensor `(B,)` of the column's dtype, or a `tf.RaggedTensor` `(B, None)` without
        missing values.
    """
    import tensorflow as tf

    if not column.is_list:
        return _scalars(values, column)
    if not isinstance(values, tf.RaggedTensor):
        values = tf.strings.split(values, column.separator)  # (B, None)
    if values.dtype == tf.string:
        values = tf.ragged.boolean_mask(values, values != "")
    return values.with_flat_values(_scalars(values.flat_values, column))


def _scalars(values, column):
    import tensorflow as tf

    if column.dtype != "string":
        if values.dtype == tf.string:
            values = _parsed(values, column)
        return tf.cast(values, column.dtype)
    if values.dtype == tf.bool:
        return tf.where(values, "True", "False")
    return values if values.dtype == tf.string else tf.strings.as_string(values)


def _parsed(values, column):
    """Integers of the text of a list."""
    import tensorflow as tf

    values = tf.strings.strip(values)
    wrong = tf.logical_not(tf.strings.regex_full_match(values, _INTEGER))
    message = f"Column {column.name} must hold integer ids. Received:"
    check = tf.Assert(
        tf.logical_not(tf.reduce_any(wrong)),
        [message, tf.boolean_mask(values, wrong)],
    )
    with tf.control_dependencies([check]):
        # TensorFlow 2.16 does not read +3.
        values = tf.strings.regex_replace(values, r"^\+", "")
    return tf.strings.to_number(values, tf.int64)
