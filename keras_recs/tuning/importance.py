"""How much a hyperparameter alone says about the score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

_GROUPS = 4  # of the values of a range


def importance(trials: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Estimates the share of the scores' variance that each hyperparameter explains.

    It is the adjusted correlation ratio ε² of the ranks of the scores: trials are
    grouped by the value of one hyperparameter, numbers of many values by quartile, and

    ε² = (S_between − (k − 1)·S_within/(n − k)) / S_total, at least 0,

    with S the sums of squares, k groups and n trials. Ranks, so that a trial that
    diverged weighs no more than another bad one; adjusted, so that a hyperparameter of
    many values does not look important by chance. It is a description of few trials:
    it sees each hyperparameter alone, no interaction. Trials that Hyperband trained for
    different numbers of epochs are ranked among their like.

    Args:
        trials: as `read_trials` returns them; those without a score are left out.

    Returns:
        dict of hyperparameter to number between 0 and 1, the largest first. Those that
        had a single value, or a value of its own for each trial, are not there.

    Reference: [Kelley, 1935](https://doi.org/10.1073/pnas.21.9.554)
    """
    scored = [trial for trial in trials if trial["score"] is not None]
    names = {name for trial in scored for name in trial["values"]}
    lengths = [trial["values"].get("tuner/epochs") for trial in scored]
    scores = np.array([trial["score"] for trial in scored], "float64")
    ranks = np.zeros(len(scored))
    for length in set(lengths):
        alike = np.array([other == length for other in lengths], bool)
        ranks[alike] = _centred_ranks(scores[alike])
    found = {}
    for name in sorted(names):
        if name.startswith("tuner/"):
            continue
        groups = _groups([trial["values"].get(name) for trial in scored])
        share = _share(ranks, groups)
        if share is not None:
            found[name] = share
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _centred_ranks(values: np.ndarray) -> np.ndarray:
    """From −½ to ½; ties share the mean of their ranks."""
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    return (below + equal / 2) / len(values) - 0.5


def _groups(values: list[Any]) -> np.ndarray:
    """A number a trial, equal where the values are equal or near each other."""
    distinct = set(values)
    is_range = len(distinct) > 2 * _GROUPS and all(
        isinstance(value, (int, float)) for value in distinct
    )
    if is_range:
        numbers = np.array(values, "float64")
        edges = np.quantile(numbers, np.arange(1, _GROUPS) / _GROUPS)
        return np.searchsorted(edges, numbers, side="right")
    order = list(dict.fromkeys(values))
    return np.array([order.index(value) for value in values])


def _share(ranks: np.ndarray, groups: np.ndarray) -> float | None:
    present = np.unique(groups)
    n, k = len(ranks), len(present)
    if k < 2 or k >= n:
        return None
    total = ((ranks - ranks.mean()) ** 2).sum()
    if total == 0:
        return 0.0
    within = sum(
        ((ranks[groups == group] - ranks[groups == group].mean()) ** 2).sum()
        for group in present
    )
    between = total - within
    return float(max(0.0, (between - (k - 1) * within / (n - k)) / total))
