"""The columns of a file that a training batch is made of."""

from __future__ import annotations

import dataclasses

from keras_recs.interop.check_kind import PREPARE
from keras_recs.schema import Column, Schema


def training_columns(schema: Schema, *, with_group: bool = False) -> dict[str, Column]:
    """Features, labels and weights by name, and the group key if it is asked for.

    The timestamp is no part of a batch.

    Args:
        schema: a `keras_recs.Schema`.
        with_group: bool. The group key too. Defaults to `False`.

    Returns:
        dict of `Column`; `required` where a row must have a value.

    Raises:
        ValueError: for a schema with weights of values, which tensorflow-io's readers
            could not keep beside the values.
    """
    if schema.value_weights:
        raise ValueError(
            f"Features {list(schema.value_weights)}: `weights` are not read through "
            f"tensorflow-io. Received: weights={list(schema.value_weights.values())}. "
            f"{PREPARE}"
        )
    features = {feature.name for feature in schema.raw_features}
    required = {label.name for label in schema.labels}
    optional = {label.name for label in schema.labels if label.optional}
    required |= {label.sample_weight for label in schema.labels if label.sample_weight}
    if with_group and schema.group_key is not None:
        required.add(schema.group_key)
    return {
        name: dataclasses.replace(column, required=name in required - optional)
        for name, column in schema.columns.items()
        if name in features | required
    }
