"""Sums of floats without rounding."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

_HALF = 27  # bits of the lower part of a mantissa


class ExactSum:
    """The exact sum of floats, whatever their order and grouping.

    Mantissas are added as integers, one total an exponent.

    Example:
    >>> total = ExactSum()
    >>> total.add(np.array([1e30, 1.0, -1e30]))
    >>> float(total.value())
    1.0
    """

    def __init__(self) -> None:
        self.totals: dict[int, int] = {}

    def add(self, values: np.ndarray, counts: np.ndarray | None = None) -> None:
        """Adds finite float64 `values (N,)`, each as often as `counts (N,)` says.

        The counts of one call may sum up to 2**26.
        """
        if not len(values):
            return
        fractions, exponents = np.frexp(np.asarray(values, np.float64))
        mantissas = np.ldexp(fractions, 53).astype(np.int64)
        lowest = int(exponents.min())
        bins = exponents - lowest
        # A bin's sum in float64 is exact: below 2**26 * 2**27.
        weights = 1 if counts is None else counts
        high = np.bincount(bins, weights * (mantissas >> _HALF))
        low = np.bincount(bins, weights * (mantissas & ((1 << _HALF) - 1)))
        for place in np.flatnonzero((high != 0) | (low != 0)).tolist():
            total = (int(high[place]) << _HALF) + int(low[place])
            self._add(lowest + place, total)

    def merge(self, other: ExactSum) -> None:
        """Adds another sum."""
        for exponent, total in other.totals.items():
            self._add(exponent, total)

    def value(self) -> Fraction:
        """The sum."""
        return sum(
            (Fraction(t) * Fraction(2) ** (e - 53) for e, t in self.totals.items()),
            Fraction(0),
        )

    def _add(self, exponent: int, total: int) -> None:
        self.totals[exponent] = self.totals.get(exponent, 0) + total
