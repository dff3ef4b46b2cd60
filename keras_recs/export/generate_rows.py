"""Rows made up from a schema, which visit what real data rarely hold."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from keras_recs.schema import (
    CategoricalFeature,
    NumericFeature,
    Schema,
)

_VOCABULARY_SAMPLE = 10_000
_DEFAULT_LIST_LENGTH = 8


def generate_rows(schema: Schema, num_rows: int, seed: int = 0) -> dict[str, list]:
    """Makes rows of raw features.

    About one value in ten is unknown and one in ten missing; lists are empty, short,
    full and too long, with weights or none; numbers lie within and beyond the range of
    the training split. The last row but one has no known value, the last no value.

    Args:
        schema: fitted `keras_recs.Schema`.
        num_rows: int.
        seed: int. Defaults to `0`.

    Returns:
        dict of feature to a list with one value, or list of values, a row.
    """
    rng = np.random.default_rng(seed)
    columns = {}
    for feature in schema.raw_features:
        if isinstance(feature, NumericFeature):
            column, unknown, missing = _numbers(schema, feature, num_rows, rng)
        elif isinstance(feature, CategoricalFeature):
            known, unknown, missing = _id_values(schema, feature)
            column = _ids(known, unknown, missing, num_rows, rng)
            unknown = unknown[0]
        else:
            known, strange, _ = _id_values(schema, feature)
            column = _lists(feature, known, strange, num_rows, rng)
            unknown, missing = [strange[0]], []
        columns[feature.name] = [*column, unknown, missing][-num_rows:]
        if feature.name in schema.value_weights:
            name = schema.value_weights[feature.name]
            columns[name] = _weights(columns[feature.name], rng)
    return columns


def _numbers(schema, feature, num_rows, rng) -> tuple[list, Any, Any]:
    fitted = schema.numerics.get(feature.name)
    low, high = (-3.0, 3.0) if fitted is None else (fitted.minimum, fitted.maximum)
    room = 0.1 * (high - low)
    values = rng.uniform(low - room, high + room, num_rows)
    odd = rng.random(num_rows)
    values[odd < 0.2] = np.round(values[odd < 0.2])
    values[odd < 0.1] = np.nan
    values[odd < 0.01] = np.inf
    return values.astype("float32").tolist(), high + room, float("nan")


def _id_values(schema, feature) -> tuple[list, list, Any]:
    """Known values, unknown ones, and the missing one."""
    if feature.kind == "identity":
        size = feature.vocabulary_size
        count = min(size, _VOCABULARY_SAMPLE)
        known = np.unique(np.linspace(0, size - 1, count).astype("int64")).tolist()
        return known, [size, size + 12_345, -2, 2**40], -1
    unknown = ["never seen", "\N{SNOWMAN} ünknown", "x" * 60, "0.5"]
    if feature.kind in ("hash", "dynamic"):  # whose keys nobody can turn back
        return [f"value {number}" for number in range(1_000)], unknown, ""
    path = schema.vocabularies[feature.table_name].path
    with open(path, encoding="utf-8", newline="\n") as file:
        lines = itertools.islice(file, _VOCABULARY_SAMPLE)
        known = [line.rstrip("\n") for line in lines]
    return known or unknown, unknown, ""


def _ids(known, unknown, missing, num_rows, rng) -> list:
    positions = rng.integers(len(known), size=num_rows)
    odd = rng.random(num_rows)
    values = [known[i] for i in positions]
    for row in np.flatnonzero(odd < 0.2):
        values[row] = unknown[row % len(unknown)] if odd[row] < 0.1 else missing
    return values


def _weights(lists, rng) -> list:
    """A weight a value from 0 to 2, or none."""
    weights = [np.round(rng.uniform(0, 2, len(values)), 1) for values in lists]
    odd = rng.random(len(lists)) < 0.1
    return [[] if none else w.tolist() for none, w in zip(odd, weights, strict=True)]


def _lists(feature, known, unknown, num_rows, rng) -> list:
    full = feature.max_length or _DEFAULT_LIST_LENGTH
    lengths = rng.integers(0, min(full, 2 * _DEFAULT_LIST_LENGTH) + 1, size=num_rows)
    odd = rng.random(num_rows)
    lengths[odd < 0.2] = full
    lengths[odd < 0.1] = 0
    if feature.max_length is not None:
        lengths[odd < 0.05] = full + 3  # longer than the model takes
    ids = iter(_ids(known, unknown, unknown[0], int(lengths.sum()), rng))
    return [list(itertools.islice(ids, length)) for length in lengths.tolist()]
