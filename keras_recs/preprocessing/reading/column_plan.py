"""What is read of the raw rows, and what a value must be."""

from __future__ import annotations

import dataclasses

from keras_recs.schema import Schema


@dataclasses.dataclass(frozen=True)
class ColumnPlan:
    """One column to read.

    Attributes:
        name: string. Name of the result.
        source: string. Name of the column in the raw file.
        dtype: `"string"`, `"int64"`, `"float32"` or `"float64"` (a time, exact).
        is_list: bool.
        separator: string. Between the values of a list in text.
        required: bool. A missing value makes a bad row.
        weights: string. Name of the plan with the weights of the list's values.
        keep_missing: bool. Keep missing values of a list, as null: values and weights
            lie place by place, until `align_weights` drops them together.
        given: string. Name of the plan of a binary label that must be 1 where this one
            is.
        rule: `"binary"` (0 or 1), `"watch_time"` and `"weight"` (not negative),
            `"vocabulary"` (no line break, which a vocabulary file could not hold),
            `"time"` (rounded down to an integer), or `None`.
    """

    name: str
    source: str
    dtype: str
    is_list: bool = False
    separator: str | None = None
    required: bool = False
    rule: str | None = None
    weights: str | None = None
    keep_missing: bool = False
    given: str | None = None


def column_plans(schema: Schema) -> tuple[ColumnPlan, ...]:
    """The columns of a schema, in its order."""
    rules: dict[str, str] = {}
    for feature in schema.raw_features:
        owner = schema.table_owners.get(feature.table_name)
        if feature.dtype == "string" and getattr(owner, "kind", "") == "vocabulary":  # type: ignore[union-attr]
            rules[feature.name] = "vocabulary"
    features = {feature.name for feature in schema.raw_features}
    if schema.timestamp and schema.timestamp not in features:
        rules[schema.timestamp] = "time"
    for label in schema.labels:
        if label.task in ("binary", "watch_time"):
            rules[label.name] = label.task
        if label.sample_weight:
            rules[label.sample_weight] = "weight"
    weights = schema.value_weights
    aligned = {*weights, *weights.values()}
    return tuple(
        ColumnPlan(
            name,
            name,
            column.dtype,
            column.is_list,
            column.separator,
            column.required,
            rules.get(name),
            weights.get(name),
            name in aligned,
            schema.given.get(name),
        )
        for name, column in schema.columns.items()
    )
