"""Values of one trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def draw(hp: Any, ranges: Mapping[str, Any]) -> dict[str, Any]:
    """Registers ranges with Keras Tuner and returns the values of the trial.

    What Keras Tuner has no type for (lists, `None`, mixed types) it sees as JSON text.

    Args:
        hp: `keras_tuner.HyperParameters`.
        ranges: as `search_space` returns them.

    Returns:
        dict of argument name to value. A regularizer's strength becomes the
        configuration of an L2 regularizer, and 0 becomes `None`.
    """
    values = {name: _value(hp, name, given) for name, given in ranges.items()}
    for name, value in values.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name.endswith("_regularizer") and is_number:
            l2 = {"class_name": "L2", "config": {"l2": float(value)}}
            values[name] = l2 if value else None
    return values


def _value(hp: Any, name: str, given: Any) -> Any:
    if isinstance(given, tuple):
        low, high = given
        sampling = "log" if low > 0 and high >= 10 * low else "linear"
        if isinstance(low, int) and isinstance(high, int):
            return int(hp.Int(name, low, high, sampling=sampling))
        return float(hp.Float(name, float(low), float(high), sampling=sampling))
    if not isinstance(given, list):
        return given
    kinds = {type(value) for value in given}
    if kinds == {bool} and len(given) == 2:
        return bool(hp.Boolean(name))
    if kinds in ({int}, {str}, {float}):
        return hp.Choice(name, given)
    if kinds == {int, float}:
        return hp.Choice(name, [float(value) for value in given])
    texts = [json.dumps(value) for value in given]
    return given[texts.index(hp.Choice(name, texts))]
