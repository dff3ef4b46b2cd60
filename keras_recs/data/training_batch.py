"""Raw columns of a batch to what `model.fit` takes."""

from collections.abc import Callable

from keras_recs.schema import Schema


def training_batch(schema: Schema, *, with_group: bool = False) -> Callable:
    """Makes the function that turns raw columns into a training batch.

    Args:
        schema: a fitted `keras_recs.Schema`.
        with_group: bool. Add the group key as a fourth element. Defaults to `False`.

    Returns:
        Function of a dict of raw columns, which returns `(inputs, labels)` or, where a
        label has a weight or the group is asked for, `(inputs, labels, weights)` and
        the group.

    Raises:
        ValueError: if the group is asked for and the schema has none.
    """
    import tensorflow as tf

    from keras_recs.preprocessing import SchemaPreprocessor

    if with_group and schema.group_key is None:
        raise ValueError(
            "`with_group=True` needs a schema with a group key: "
            'Schema(…, group_key="user_id").'
        )
    preprocess = SchemaPreprocessor(schema)
    weighted = any(label.sample_weight for label in schema.labels)

    def to_batch(raw):
        labels, weights = {}, {}
        for label in schema.labels:
            values = tf.cast(raw[label.name], tf.float32)
            labels[label.name] = values[:, None]  # (B, 1)
            if label.sample_weight:
                weights[label.name] = tf.cast(raw[label.sample_weight], tf.float32)
            elif weighted or with_group:
                weights[label.name] = tf.ones_like(values)  # (B,)
        batch = (preprocess(raw), labels)
        if weights:
            batch += (weights,)
        if with_group:
            group = raw[schema.group_key]
            if group.dtype != tf.string:
                group = tf.strings.as_string(group)
            batch += (group,)
        return batch

    return to_batch
