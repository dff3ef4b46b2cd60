"""Raw columns of a batch to what `model.fit` takes."""

from collections.abc import Callable
from typing import Any

from keras_recs.schema import Schema


def training_batch(
    schema: Schema, *, with_group: bool = False, down_sampling: Any = None
) -> Callable:
    """Makes the function that turns raw columns into a training batch.

    Args:
        schema: a fitted `keras_recs.Schema`.
        with_group: bool. Add the group key as a fourth element. Defaults to `False`.
        down_sampling: what left these examples. If it weighs them, the weights of all
            labels are divided by the chance to be kept. Defaults to `None`.

    Returns:
        Function of a dict of raw columns, which returns `(inputs, labels)` or, where a
        label has a weight or may be missing or the group is asked for, `(inputs,
        labels, weights)` and the group. A missing label is 0 and weighs 0, except where
        the one that is its `given` is known to be 0: then it is known to be 0, too.

    Raises:
        ValueError: if the group is asked for and the schema has none.
        tf.errors.InvalidArgumentError: in the function, for a label or a sample weight
            that `pipelines.prepare` would have refused, such as a conversion without a
            click; it is named with the value.
    """
    import tensorflow as tf

    from keras_recs.preprocessing import SchemaPreprocessor

    if with_group and schema.group_key is None:
        raise ValueError(
            "`with_group=True` needs a schema with a group key: "
            'Schema(…, group_key="user_id").'
        )
    preprocess = SchemaPreprocessor(schema)
    weighted = any(label.sample_weight or label.optional for label in schema.labels)
    chance_of = None
    if down_sampling is not None and down_sampling.weigh:
        weighted = True
        chance_of = down_sampling.probabilities(schema)
        decides = down_sampling.column(schema)

    def to_batch(raw):
        values_of = {
            label.name: _checked(raw, label.name, label.task, label.optional)
            for label in schema.labels
        }
        labels, weights = {}, {}
        for label in schema.labels:
            values, there = values_of[label.name], None
            if label.optional:
                values = _implied(values_of, label.name, schema.given)
                there = tf.math.is_finite(values)
                values = tf.where(there, values, 0.0)
            labels[label.name] = values[:, None]  # (B, 1)
            if label.sample_weight:
                weights[label.name] = _checked(raw, label.sample_weight, "weight")
            elif weighted or with_group:
                weights[label.name] = tf.ones_like(values)  # (B,)
            if there is not None:
                weights[label.name] *= tf.cast(there, tf.float32)
        labels = _checked_funnel(labels, schema.given)
        if chance_of is not None:
            chances = chance_of(raw[decides])  # (B,)
            weights = {name: value / chances for name, value in weights.items()}
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


def _implied(values_of, name, given):
    """The values `(B,)` of a label; 0 instead of NaN where its `given` is 0."""
    import tensorflow as tf

    values = values_of[name]
    if name not in given:
        return values
    other = _implied(values_of, given[name], given)
    cannot_be = tf.logical_and(tf.math.is_nan(values), other == 0)
    return tf.where(cannot_be, 0.0, values)


def _checked_funnel(labels, given):
    """The labels, in a graph that fails where one is 1 and its `given` is not."""
    import tensorflow as tf

    labels = dict(labels)
    for name, other in given.items():
        wrong = tf.logical_and(labels[name] == 1, labels[other] != 1)[:, 0]
        check = tf.debugging.Assert(
            tf.logical_not(tf.reduce_any(wrong)),
            [
                f"Column {name} cannot be 1 where {other} is not. It is in these rows "
                "of a batch:",
                tf.where(wrong)[:, 0],
                "pipelines.prepare names such rows in raw files, or sets them aside.",
            ],
        )
        with tf.control_dependencies([check] if check is not None else []):
            labels[name] = tf.identity(labels[name])
    return labels


def _checked(raw, name, rule, optional=False):
    """A label or weight as float32, in a graph that fails where a value is wrong.

    Records that other programs wrote have met no rule before.
    """
    import tensorflow as tf

    values = tf.cast(raw[name], tf.float32)
    right, wish = tf.math.is_finite(values), "finite"
    if rule == "binary":
        right = tf.logical_or(values == 0, values == 1)
        wish = "0 or 1"
    elif rule != "regression":
        right = tf.logical_and(right, values >= 0)
        wish = "a finite number of at least 0"
    if optional:
        right = tf.logical_or(right, tf.math.is_nan(values))
    wrong = tf.where(tf.logical_not(right))[:, 0]
    check = tf.debugging.Assert(
        tf.reduce_all(right),
        [
            f"Column {name} must be {wish} in every row. Received:",
            tf.gather(values, wrong),
            "in these rows of a batch:",
            wrong,
            "pipelines.prepare names such rows in raw files, or sets them aside.",
        ],
    )
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(values)
