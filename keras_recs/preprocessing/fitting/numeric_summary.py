"""What is measured of a number."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from keras_recs.preprocessing.fitting.exact_sum import ExactSum
from keras_recs.preprocessing.fitting.quantile_summary import QuantileSummary
from keras_recs.schema import FittedNumeric, NumericFeature


class NumericSummary:
    """Moments, range and quantiles of a numeric feature, mergeable.

    The moments are those of the float32 values that a model sees, summed without
    rounding, so they depend neither on the order of the rows nor on how they are cut.

    Args:
        feature: `NumericFeature`.
    """

    def __init__(self, feature: NumericFeature):
        self.feature = feature
        self.count = 0
        self.missing = 0
        self.minimum = math.inf
        self.maximum = -math.inf
        self._sums = {"raw": (ExactSum(), ExactSum())}
        if "log1p" in feature.transforms:
            self._sums["transformed"] = (ExactSum(), ExactSum())
        self._quantiles = None
        if feature.num_buckets is not None or "quantile" in feature.transforms:
            self._quantiles = QuantileSummary()

    def add(self, column: pa.Array) -> None:
        """Takes a chunk's float32 column; null is missing."""
        self.missing += column.null_count
        numbers = column.drop_null().to_numpy()
        if not len(numbers):
            return
        values, counts = np.unique(numbers, return_counts=True)  # sorted
        self.count += len(numbers)
        self.minimum = min(self.minimum, float(values[0]))
        self.maximum = max(self.maximum, float(values[-1]))
        if self._quantiles is not None:
            self._quantiles.add(values, counts)
        forms = {"raw": values}
        if "transformed" in self._sums:
            forms["transformed"] = np.sign(values) * np.log1p(np.abs(values))
        for name, form in forms.items():
            wide = form.astype(np.float64)
            sums, squares = self._sums[name]
            sums.add(wide, counts)
            squares.add(wide * wide, counts)  # exact: 2 * 24 bits

    def merge(self, other: NumericSummary) -> None:
        """Takes what another summary of the feature has seen."""
        self.count += other.count
        self.missing += other.missing
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        for name, sums in self._sums.items():
            for own, its in zip(sums, other._sums[name], strict=True):
                own.merge(its)
        if self._quantiles is not None:
            self._quantiles.merge(other._quantiles)  # type: ignore[arg-type]

    def fitted(self) -> FittedNumeric:
        """The statistics; zeros where no value was seen."""
        if not self.count:
            return FittedNumeric(0.0, 0.0, 0.0, 0.0, 0.0, self.missing)
        mean, _ = self.moments("raw")
        transformed = "transformed" if "transformed" in self._sums else "raw"
        transformed_mean, transformed_std = self.moments(transformed)
        return FittedNumeric(
            mean,
            transformed_mean,
            transformed_std,
            self.minimum,
            self.maximum,
            self.missing,
            self._boundaries(),
        )

    def moments(self, name: str = "raw") -> tuple[float, float]:
        """Mean and population standard deviation, `"raw"` or `"transformed"`."""
        sums, squares = (total.value() for total in self._sums[name])
        mean = sums / self.count
        variance = squares / self.count - mean * mean
        return float(mean), math.sqrt(variance)

    @property
    def rank_error(self) -> float:
        """How far the ranks of the boundaries may be off, as a share of the count."""
        if self._quantiles is None or not self.count:
            return 0.0
        return self._quantiles.error / self.count

    def _boundaries(self) -> tuple[float, ...]:
        if self._quantiles is None:
            return ()
        if "quantile" in self.feature.transforms:
            percentiles = self._quantiles.quantiles(np.arange(101) / 100)
            return (self.minimum, *percentiles[1:].tolist())  # with repetitions
        buckets = self.feature.num_buckets or 1
        fractions = np.arange(1, buckets) / buckets
        return tuple(np.unique(self._quantiles.quantiles(fractions)).tolist())
