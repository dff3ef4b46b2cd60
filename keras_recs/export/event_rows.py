"""Raw histories to what a model of sequences reads."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_recs.schema import Schema


def raw_rows_of(raw, name: str, schema: Schema, preprocessor: Any):
    """Table rows of all values of a sequence feature, at their places.

    Args:
        raw: dict of raw features, `(B, S)` or ragged.
        name: string. Name of the feature.
        schema: the schema.
        preprocessor: `SchemaPreprocessor` of the schema.

    Returns:
        int `(B, S)`, 0 where nothing is; also of what the model does not read.
    """
    values, lookup = raw[name], preprocessor.lookups[schema[name].table_name]
    if schema.request_columns[name].dtype == "int64":
        values = tf.cast(values, tf.int64)
    if isinstance(values, tf.RaggedTensor):
        return values.with_flat_values(lookup(values.flat_values)).to_tensor(0)
    return lookup(values)


def event_rows(raw, items: str, schema: Schema, preprocessor: Any) -> dict[str, Any]:
    """The rows of the last events of each history, and what else is known of them.

    What else is known stands at the same place of its list as the item of the event;
    where the list ends before, or a value is missing, nothing is known. A place
    without an item is no event.

    Args:
        raw: dict of raw features, `(B, S)` or ragged; S may differ from one to another.
        items: string. Name of the items' feature.
        schema: a schema of sequence features alone, of one length, padded on the left.
        preprocessor: `SchemaPreprocessor` of the schema.

    Returns:
        dict of feature to int `(B, T)`.
    """
    rows = {items: preprocessor(raw)[items]}
    others = [name for name in schema.feature_names if name != items]
    if not others:
        return rows
    is_event = raw_rows_of(raw, items, schema, preprocessor) != 0  # (B, S)
    size, length = tf.shape(is_event)[1], rows[items].shape[1]
    order = tf.argsort(tf.cast(is_event, tf.int32), axis=1, stable=True)  # events last
    for name in others:
        known = raw_rows_of(raw, name, schema, preprocessor)[:, :size]
        known = tf.pad(known, [[0, 0], [0, size - tf.shape(known)[1]]])  # (B, S)
        known = tf.where(is_event, known, 0)
        known = tf.gather(known, order, batch_dims=1)
        last = tf.pad(known, [[0, 0], [length, 0]])[:, -length:]
        rows[name] = tf.ensure_shape(last, (None, length))  # (B, T)
    return rows
