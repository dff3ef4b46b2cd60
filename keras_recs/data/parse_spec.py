"""The form of a `tf.train.Example` that a schema describes."""

from keras_recs.schema import MISSING_ID, Schema


def parse_spec(schema: Schema, *, features_only: bool = True) -> dict:
    """What `tf.io.parse_example` reads for a schema.

    A feature may be absent: it then reads as `""`, −1 or NaN, and a list as empty. The
    weights of a feature's values are a list beside it.

    Args:
        schema: a `keras_recs.Schema`.
        features_only: bool. Leave out labels, sample weights, the group key and the
            timestamp, as a serving request does. Defaults to `True`.

    Returns:
        dict of column name to `tf.io.FixedLenFeature` (a scalar an example) or
        `tf.io.RaggedFeature` (a list).
    """
    import tensorflow as tf

    missing = {"string": "", "int64": MISSING_ID, "float32": float("nan")}
    names = schema.request_columns
    spec: dict[str, object] = {}
    for name, column in schema.columns.items():
        if features_only and name not in names:
            continue
        dtype = tf.as_dtype(column.dtype)
        if column.is_list:
            spec[name] = tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
        else:
            # A label must be there; a feature that is the group key too need not be
            # in a request.
            required = column.required and name not in names
            default = None if required else missing[column.dtype]
            spec[name] = tf.io.FixedLenFeature((), dtype, default_value=default)
    return spec
