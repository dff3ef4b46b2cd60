"""Values of one trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import keras

from keras_recs.layers.checked_regularizer import checked_regularizer
from keras_recs.tuning.search_space import NEEDS


def draw(hp: Any, ranges: Mapping[str, Any]) -> dict[str, Any]:
    """Registers ranges with Keras Tuner and returns the values of the trial.

    What Keras Tuner has no type for (lists, `None`, mixed types) it sees as JSON text.

    Args:
        hp: `keras_tuner.HyperParameters`.
        ranges: as `search_space` returns them.

    Returns:
        dict of argument name to value. A regularizer becomes its configuration, which
        the layers of any builder take: a number that of a `BatchL2`, 0 `None`. An
        argument that needs another one is not there where that one is `None`.
    """
    values: dict[str, Any] = {}
    for name, given in sorted(ranges.items(), key=lambda item: item[0] in NEEDS):
        needed = NEEDS.get(name, "")
        choices = ranges.get(needed)
        if isinstance(choices, list) and None in choices:
            others = [json.dumps(choice) for choice in choices if choice is not None]
            with hp.conditional_scope(needed, others):
                if values[needed] is not None:
                    values[name] = _value(hp, name, given)
        else:
            values[name] = _value(hp, name, given)
        if name.endswith("_regularizer"):
            regularizer = checked_regularizer(name, values[name])
            values[name] = keras.regularizers.serialize(regularizer)
    return values


def _value(hp: Any, name: str, given: Any) -> Any:
    if isinstance(given, dict):
        low, high = given["low"], given["high"]
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
