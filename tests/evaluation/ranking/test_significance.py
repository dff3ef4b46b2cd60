"""Intervals and tests beside closed forms and full enumeration."""

import itertools
import math
import statistics
import tracemalloc

import numpy as np
import pytest

from keras_recs.evaluation import bootstrap_interval, paired_test


@pytest.mark.parametrize("level", [0.5, 0.95])
@pytest.mark.parametrize("kind", ["normal", "hits"])
def test_the_interval_is_that_of_a_normal_mean(kind, level):
    rng = np.random.default_rng(0)
    values = rng.normal(size=400) if kind == "normal" else rng.random(400) < 0.3
    low, high = bootstrap_interval(values, level, num_samples=4_000)
    deviation = np.std(values) / math.sqrt(400)
    z = statistics.NormalDist().inv_cdf((1 + level) / 2)
    assert low == pytest.approx(np.mean(values) - z * deviation, abs=0.15 * deviation)
    assert high == pytest.approx(np.mean(values) + z * deviation, abs=0.15 * deviation)


def test_the_interval_of_few_values_is_that_of_all_samples():
    """27 samples of three users, whose means have these quantiles."""
    values = [0.0, 1.0, 5.0]
    means = [np.mean(sample) for sample in itertools.product(values, repeat=3)]
    expected = np.quantile(means, [0.1, 0.9])
    found = bootstrap_interval(values, 0.8, num_samples=20_000)
    np.testing.assert_allclose(found, expected)


def test_the_interval_of_a_constant_is_a_point():
    assert bootstrap_interval([0.25] * 9) == (0.25, 0.25)
    assert bootstrap_interval([3]) == (3, 3)


def test_draws_depend_on_the_seed_alone():
    values = np.random.default_rng(0).random(50)
    assert bootstrap_interval(values) == bootstrap_interval(values[::-1])
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)
    first = paired_test(values, np.zeros(50) + 0.45)
    assert first == paired_test(values, np.zeros(50) + 0.45)


@pytest.mark.parametrize("function", ["interval", "test"])
def test_memory_does_not_grow_with_the_samples(function):
    values = np.random.default_rng(0).random(2_000)
    tracemalloc.start()
    if function == "interval":
        bootstrap_interval(values, num_samples=4_000)
    else:
        paired_test(values, 1 - values, num_samples=4_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 48 << 20  # all draws at once would be 64 MB


def p_by_enumeration(differences):
    n = len(differences)
    limit = abs(sum(differences)) - 1e-9
    signs = itertools.product((-1, 1), repeat=n)
    far = sum(abs(np.dot(s, differences)) >= limit for s in signs)
    return far / 2**n


@pytest.mark.parametrize("whole", [True, False])
def test_p_of_few_users_is_exact(whole):
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 9):
        a, b = rng.normal(0.3, 1, size), rng.normal(size=size)
        if whole:
            a, b = a.round(), b.round()
        found = paired_test(a, b)
        assert found.p_value == pytest.approx(p_by_enumeration(a - b))
        assert found.difference == pytest.approx(np.mean(a) - np.mean(b))
        assert found.low <= found.difference <= found.high
        back = paired_test(b, a)
        assert back.p_value == found.p_value
        assert back.difference == -found.difference


def test_drawn_p_is_near_the_exact_one():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.5, 1, 12), rng.normal(size=12)
    exact = paired_test(a, b)
    assert exact.p_value == pytest.approx(p_by_enumeration(a - b))
    drawn = paired_test(a, b, num_samples=4_000)
    deviation = math.sqrt(exact.p_value * (1 - exact.p_value) / 4_000)
    assert abs(drawn.p_value - exact.p_value) < 4 * deviation + 1 / 4_000
    assert drawn.p_value != exact.p_value


def test_p_of_many_users_is_that_of_a_normal_sum():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.06, 1, 900)
    found = paired_test(differences, np.zeros(900))
    z = differences.sum() / math.sqrt((differences**2).sum())
    expected = 2 * (1 - statistics.NormalDist().cdf(abs(z)))
    assert found.p_value == pytest.approx(expected, abs=0.02)
    low, high = bootstrap_interval(differences)
    assert (found.low, found.high) == (low, high)


def test_no_difference():
    a = np.random.default_rng(0).random(30)
    same = paired_test(a, a)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    # Users without a difference do not matter to the test.
    zeros = np.zeros(5_000)
    padded = paired_test([1, 1, 1, *zeros], [0, 0, 0, *zeros])
    assert padded.p_value == 2 / 8
    clear = paired_test(np.ones(3_000), np.zeros(3_000), num_samples=99)
    assert clear.p_value == 1 / 100


def test_errors_of_significance():
    for values in ([], [1, np.nan], [np.inf], [[1, 2]]):
        with pytest.raises(ValueError, match="`values` must be a vector of finite"):
            bootstrap_interval(values)
    for level in (0, 1, 95, np.nan):
        with pytest.raises(ValueError, match="`level` must be between 0 and 1"):
            bootstrap_interval([1, 2], level)
    with pytest.raises(ValueError, match="`num_samples` must be an integer"):
        bootstrap_interval([1, 2], num_samples=0)
    with pytest.raises(ValueError, match="`num_samples` must be an integer"):
        paired_test([1, 2], [2, 1], num_samples=0.5)
    with pytest.raises(ValueError, match="`a` and `b` must be vectors of one length"):
        paired_test([1, 2], [1])
    with pytest.raises(ValueError, match="finite numbers, one at least"):
        paired_test([], [])
