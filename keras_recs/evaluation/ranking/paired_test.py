"""Whether one model is better than another for the same users."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.bootstrap_interval import bootstrap_interval
from keras_recs.evaluation.ranking.checked_ids import checked_count

_DRAWS = 1 << 20  # held at once


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """What `paired_test` found.

    Attributes:
        difference: float. Mean of the first model's values less that of the second's.
        low: float. Lower end of the bootstrap interval of the difference, at 95%.
        high: float. Its upper end.
        p_value: float. Two-sided.
    """

    difference: float
    low: float
    high: float
    p_value: float


def paired_test(
    a: Any, b: Any, num_samples: int = 10_000, seed: int = 0
) -> PairedDifference:
    """Tests whether two models differ, by a permutation test over the same users.

    If they do not, each user's difference could as well have the other sign. The
    p-value is the share of all assignments of signs whose mean difference is at least
    as far from 0 as the one observed. Where there are more assignments than
    `num_samples`, so many are drawn, and p is (1 + those as far) / (1 + `num_samples`).

    Args:
        a, b: `(B,)` numbers of the same users in the same order, such as those of
            `ranking_values`; leave out users without one.
        num_samples: int. Of the test; the interval has as many, 1,000 at most. Defaults
            to `10_000`.
        seed: int. Defaults to `0`.

    Returns:
        `PairedDifference` with `difference`, `low`, `high` and `p_value`.

    Raises:
        ValueError: for lengths that differ, no values or some that are not finite.

    Example:
    >>> found = keras_recs.evaluation.paired_test([1, 1, 1, 1], [0, 0, 0, 0])
    >>> found.difference, found.p_value  # 2 of 16 assignments
    (1.0, 0.125)
    """
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(
            "`a` and `b` must be vectors of one length. Received: shapes "
            f"{a.shape} and {b.shape}"
        )
    num_samples = checked_count("num_samples", num_samples)
    differences = a - b
    low, high = bootstrap_interval(
        differences, num_samples=min(num_samples, 1_000), seed=seed
    )
    sizes, counts = np.unique(np.abs(differences), return_counts=True)
    sizes, counts = sizes[sizes > 0], counts[sizes > 0]
    # Sums in another order differ in their last digits; those are ties.
    limit = abs(differences.sum()) * (1 - 1e-12)
    if counts.sum() < num_samples.bit_length():
        sums = np.zeros(1)
        for size in np.repeat(sizes, counts):
            sums = np.concatenate([sums - size, sums + size])
        p_value = float(np.mean(np.abs(sums) >= limit))
    else:
        p_value = _drawn_share(sizes, counts, limit, num_samples, seed)
    return PairedDifference(float(differences.mean()), low, high, p_value)


def _drawn_share(sizes, counts, limit, num_samples, seed) -> float:
    """Share of drawn assignments whose sum is as far from 0 as `limit`."""
    rng = np.random.default_rng(seed)
    as_far = 0
    step = max(_DRAWS // len(sizes), 1)
    for start in range(0, num_samples, step):
        shape = min(step, num_samples - start), len(sizes)
        # The signs of equal differences matter by their sum alone.
        signs = 2 * rng.binomial(counts, 0.5, size=shape) - counts
        as_far += int(np.count_nonzero(np.abs(signs @ sizes) >= limit))
    return (1 + as_far) / (1 + num_samples)
