"""How far a mean over users may be from the truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.checked_ids import checked_count

_DRAWS = 1 << 20  # held at once


def bootstrap_interval(
    values: Any, level: float = 0.95, num_samples: int = 1_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over users.

    Samples of as many users are drawn with replacement; the interval is between the
    quantiles (1 − level)/2 and (1 + level)/2 of their means. It says what other users
    would change, not what another seed of training would.

    Args:
        values: `(B,)` numbers, one of each user, such as those of `ranking_values`;
            leave out users without one.
        level: float between 0 and 1. Defaults to `0.95`.
        num_samples: int. Defaults to `1_000`.
        seed: int. Defaults to `0`.

    Returns:
        `(low, high)`.

    Raises:
        ValueError: for no values or some that are not finite, and a level or number of
            samples out of range.

    Example:
    >>> low, high = keras_recs.evaluation.bootstrap_interval([0, 1] * 50)
    >>> 0.39 <= low < 0.45 and 0.55 < high <= 0.61
    True
    """
    values = np.asarray(values, "float64")
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(
            "`values` must be a vector of finite numbers, one at least. Received: "
            f"shape {values.shape}, {np.count_nonzero(~np.isfinite(values))} not finite"
        )
    if not 0 < level < 1:
        raise ValueError(f"`level` must be between 0 and 1. Received: level={level}")
    num_samples = checked_count("num_samples", num_samples)
    rng = np.random.default_rng(seed)
    # How often a sample has each value is all that counts, and metrics have few values.
    levels, counts = np.unique(values, return_counts=True)
    share = counts / counts.sum()
    means = np.empty(num_samples)
    step = max(_DRAWS // len(levels), 1)
    for start in range(0, num_samples, step):
        size = min(step, num_samples - start)
        drawn = rng.multinomial(len(values), share, size=size)
        means[start : start + size] = drawn @ levels / len(values)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
