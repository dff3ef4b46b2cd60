"""The ranges in which a builder's arguments are searched."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

_WIDTHS = [(64,), (64, 32), (128, 64), (256, 128), (512, 256), (256, 128, 64)]
_STRENGTHS = [0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2]
_COUNTS = [1, 2, 3]

# One word per concept: a range holds for every builder that takes the argument.
_RANGES: dict[str, Any] = {
    "embedding_dim": [8, 16, 32],
    "hidden_units": _WIDTHS,
    "bottom_units": _WIDTHS,
    "top_units": _WIDTHS,
    "dropout": [0.0, 0.1, 0.2, 0.3, 0.5],
    "batch_norm": [False, True],
    "embeddings_regularizer": _STRENGTHS,
    "kernel_regularizer": _STRENGTHS,
    "num_cross_layers": [1, 2, 3, 4],
    "projection_dim": [None, 16, 64],
    "attention_units": [(36,), (64, 16), (80, 40)],
    "use_softmax": [False, True],
    "auxiliary_weight": [0.0, 0.5, 1.0],
    "num_layers": _COUNTS,
    "num_attention_layers": _COUNTS,
    "num_heads": [1, 2, 4],
    "num_experts": [2, 4, 8],
    "use_residual": [False, True],
    "scaled": [False, True],
    "structure": ["parallel", "stacked"],
    "interaction": ["dot", "cat"],
    "cin_layer_sizes": [(64,), (64, 64), (128, 128), (128, 128, 128)],
    "split_half": [False, True],
    "num_blocks": _COUNTS,
    "block_units": [64, 128, 256],
    "reduction_ratio": [1.0, 2.0, 3.0],
    "layer_norm": [False, True],
    "second_hidden_units": _WIDTHS,
    "gate_units": [(32,), (64,), (128,)],
    "tower_units": [(32,), (64,), (64, 32)],
    "shared_gate": [False, True],
}
# Where the word has other values in one builder.
_OF_BUILDER: dict[str, dict[str, Any]] = {
    "autoint": {"projection_dim": [16, 32, 64], "hidden_units": [None, *_WIDTHS]},
    "dcn_v2": {"num_experts": [None, 2, 4]},
    "dien": {"activation": ["dice", "relu"]},
    "din": {"activation": ["dice", "relu"]},
    "masknet": {"structure": ["parallel", "serial"]},
    "ple": {"num_experts": [(1, 1), (2, 1), (2, 2), (4, 2)]},
}
# An argument that says nothing where another one is `None`.
NEEDS = {"num_experts": "projection_dim"}
# Of training; `batch_size` is searched where a space names it.
_LEARNING_RATE = {"low": 1e-4, "high": 1e-2}
_OF_TRAINING = ("learning_rate", "batch_size")


def search_space(
    builder: Callable,
    space: Mapping[str, Any] | None = None,
    held: Collection[str] = (),
) -> dict[str, Any]:
    """The ranges of a builder: those of the arguments that its signature takes.

    A range is a list (one of its values), `{"low": …, "high": …}` (any number between;
    on a logarithmic scale if `high` is ten times `low` or more), or a single value,
    which is held. Numbers for a regularizer are strengths of `BatchL2`. The learning
    rate is among the ranges; the batch size is if `space` names it. `num_experts` is
    searched where `projection_dim`, which it needs, is not `None`.

    Args:
        builder: function of `keras_recs.models`, or of the same form.
        space: ranges in the place of the default ones. Defaults to `None`.
        held: names of arguments that are given and not searched. Defaults to `()`.

    Returns:
        dict of argument name to range.

    Raises:
        ValueError: for a name that the builder does not take or that is held, and for a
            range that is none.

    Example:
    >>> space = keras_recs.tuning.search_space(
    ...     keras_recs.models.logistic_regression,
    ...     {"learning_rate": {"low": 1e-3, "high": 1e-1}},
    ... )
    >>> sorted(space)
    ['kernel_regularizer', 'learning_rate']
    """
    given = dict(space or {})
    parameters = list(inspect.signature(builder).parameters.values())[1:]
    defaults = {parameter.name: parameter.default for parameter in parameters}
    unknown = sorted(set(given) - set(defaults) - set(_OF_TRAINING))
    if unknown:
        raise ValueError(
            f"`space` has names that {builder.__name__} does not take: {unknown}; it "
            f"takes {[*defaults, *_OF_TRAINING]}"
        )
    both = sorted(set(given) & set(held))
    if both:
        raise ValueError(
            f"`space` names arguments that are given and so not searched: {both}. Name "
            "them in one of the two."
        )
    known = {**_RANGES, **_OF_BUILDER.get(builder.__name__, {})}
    searched = [name for name in defaults if name in known and name not in held]
    ranges = {name: known[name] for name in searched}
    ranges = {**ranges, "learning_rate": _LEARNING_RATE, **given}
    for name, values in ranges.items():
        _check(name, values, isinstance(defaults.get(name), (tuple, list)))
    return ranges


def _check(name: str, values: Any, is_list: bool) -> None:
    if isinstance(values, list):
        valid = len(values) > 0 and all(values.count(value) == 1 for value in values)
        if is_list:
            valid = valid and all(isinstance(v, (list, tuple)) for v in values)
    elif isinstance(values, dict):
        valid = not is_list and set(values) == {"low", "high"}
        valid = valid and all(type(v) in (int, float) for v in values.values())
        valid = valid and values["low"] < values["high"]
    else:
        valid = not is_list and not isinstance(values, (tuple, set))
    if not valid:
        form = "a list of lists" if is_list else "a list of values that differ"
        others = ", {'low': number, 'high': larger number} or a single value"
        raise ValueError(
            f"`space`: '{name}' must be {form}{'' if is_list else others}. Received: "
            f"{name}={values!r}"
        )
