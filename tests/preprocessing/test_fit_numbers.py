"""Exact sums, quantiles in bounded memory, checksums: against plain Python."""

import math
import random
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from keras_recs import NumericFeature
from keras_recs.preprocessing.fitting.exact_sum import ExactSum
from keras_recs.preprocessing.fitting.numeric_summary import NumericSummary
from keras_recs.preprocessing.fitting.quantile_summary import QuantileSummary
from keras_recs.preprocessing.reading.crc32c import crc32c


def test_exact_sum_is_that_of_fractions_in_any_order():
    rng = np.random.default_rng(0)
    values = rng.normal(size=500) * 10.0 ** rng.integers(-300, 300, 500)
    values[:5] = [0.0, -0.0, 5e-324, 1.7e308, -1.7e308]
    counts = rng.integers(1, 1000, 500)
    expected = sum(
        Fraction(v) * int(c) for v, c in zip(values.tolist(), counts, strict=True)
    )
    whole, parts = ExactSum(), ExactSum()
    whole.add(values, counts)
    order = rng.permutation(500)
    for part in np.array_split(order, 7):
        one = ExactSum()
        one.add(values[part], counts[part])
        parts.merge(one)
    assert whole.value() == parts.value() == expected
    plain = ExactSum()
    plain.add(values)
    plain.add(values[:0])
    assert plain.value() == sum(map(Fraction, values.tolist()))


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.normal(size=n),
        lambda rng, n: rng.zipf(1.3, n).clip(0, 1e6).astype(float),
        lambda rng, n: np.arange(n, dtype=float),
        lambda rng, n: np.arange(n, dtype=float)[::-1],
        lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.random(n)),
        lambda rng, n: rng.integers(0, 20, n).astype(float),
    ],
)
def test_ranks_are_off_by_no_more_than_is_said(draw):
    rng = np.random.default_rng(1)
    size, num_chunks, n = 64, 50, 20_000
    values = draw(rng, n).astype(np.float32)
    summary = QuantileSummary(size)
    for number, chunk in enumerate(np.array_split(values, num_chunks)):
        distinct, counts = np.unique(chunk, return_counts=True)
        if number % 2:
            other = QuantileSummary(size)
            other.add(distinct, counts)
            summary.merge(other)
        else:
            summary.add(distinct, counts)
    assert summary.count == n
    heights = math.ceil(math.log2(num_chunks)) + 1
    assert summary.error <= heights * n / size
    held = sum(len(values) for values, _ in summary._levels.values())
    assert held <= (2 * size + 1) * heights
    if len(np.unique(values)) <= size:
        assert summary.error == 0
    fractions = np.linspace(0, 1, 101)
    found = summary.quantiles(fractions)
    assert (np.diff(found) >= 0).all() and np.isin(found, values).all()
    ordered = np.sort(values)
    at_most = np.searchsorted(ordered, found, side="right")
    below = np.searchsorted(ordered, found, side="left")
    assert (at_most >= fractions * n - 1e-6).all()
    assert (below <= fractions * n + summary.error + 1e-6).all()


def test_few_values_have_exact_quantiles():
    rng = np.random.default_rng(2)
    values = rng.normal(size=5000)
    summary = QuantileSummary()
    for chunk in np.array_split(values, 9):
        summary.add(*np.unique(chunk, return_counts=True))
    fractions = np.arange(1, 16) / 16
    expected = np.quantile(values, fractions, method="inverted_cdf")
    np.testing.assert_array_equal(summary.quantiles(fractions), expected)
    assert summary.error == 0
    with pytest.raises(ValueError, match="no quantiles"):
        QuantileSummary().quantiles(fractions)


def test_numeric_summary_against_numpy_however_it_is_cut():
    rng = np.random.default_rng(3)
    values = (rng.normal(size=999) * 1000 + 1e6).astype(np.float32)
    feature = NumericFeature("x", transform=("log1p", "zscore"))
    column = pa.array([None if i % 10 == 0 else v for i, v in enumerate(values)])
    column = column.cast(pa.float32())
    results = set()
    for parts in (1, 4, 97):
        whole = NumericSummary(feature)
        for rows in np.array_split(np.arange(999), parts):
            part = NumericSummary(feature)
            part.add(column.slice(rows[0], len(rows)))
            whole.merge(part)
        results.add(whole.fitted())
        raw_mean, raw_std = whole.moments()
    (fitted,) = results
    kept = column.drop_null().to_numpy().astype(np.float64)
    assert fitted.mean == pytest.approx(kept.mean(), rel=1e-15)
    assert raw_mean == fitted.mean
    # Far from the naive sum of squares: the mean is a thousand deviations from zero.
    assert raw_std == pytest.approx(kept.std(), rel=1e-12)
    logs = np.log1p(kept.astype(np.float32)).astype(np.float64)
    assert fitted.transformed_mean == pytest.approx(logs.mean(), rel=1e-14)
    assert fitted.transformed_std == pytest.approx(logs.std(), rel=1e-9)
    assert fitted.missing == 100


def test_buckets_have_increasing_boundaries_and_none_without_values():
    feature = NumericFeature("x", num_buckets=10)
    summary = NumericSummary(feature)
    summary.add(pa.array([0.0] * 75 + [1.0] * 10 + [7.0] * 15, pa.float32()))
    assert summary.fitted().boundaries == (0.0, 1.0, 7.0)
    empty = NumericSummary(feature)
    empty.add(pa.array([None, None], pa.float32()))
    fitted = empty.fitted()
    assert (fitted.boundaries, fitted.missing, fitted.mean) == ((), 2, 0.0)


def test_percentiles():
    rng = np.random.default_rng(4)
    values = rng.lognormal(size=4001).astype(np.float32)
    feature = NumericFeature("x", transform="quantile")
    summary = NumericSummary(feature)
    for part in np.array_split(values, 5):
        summary.add(pa.array(part))
    found = summary.fitted().boundaries
    expected = np.quantile(values, np.arange(101) / 100, method="inverted_cdf")
    np.testing.assert_array_equal(found, expected)
    # A value that is most of the data fills most percentiles.
    summary = NumericSummary(feature)
    summary.add(pa.array([0.0] * 75 + [1.0] * 10 + [7.0] * 15, pa.float32()))
    found = summary.fitted().boundaries
    assert found == (0.0,) * 76 + (1.0,) * 10 + (7.0,) * 15
    empty = NumericSummary(feature)
    empty.add(pa.array([None], pa.float32()))
    assert empty.fitted().boundaries == ()


def slow_crc32c(data):
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 * (state & 1))
    return state ^ 0xFFFFFFFF


def test_checksums_are_those_of_the_definition():
    rng = random.Random(0)
    # RFC 3720, B.4.
    for data, expected in [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"", 0),
    ]:
        assert crc32c(data, [0], [len(data)]).tolist() == [expected]
    data = rng.randbytes(20_000)
    starts = [rng.randrange(20_000) for _ in range(5000)]
    stops = [
        min(start + rng.choice([0, 1, 3, 4, 7, 30, 33]), 20_000) for start in starts
    ]
    stops[17] = 20_000
    found = crc32c(data, np.array(starts), np.array(stops)).tolist()
    for number in [*range(60), 4094, 4095, 4096, 4999]:
        start, stop = starts[number], stops[number]
        assert found[number] == slow_crc32c(data[start:stop])
