"""Samplers of negatives, beside counts, loops and brute force."""

import math

import numpy as np
import pytest

from keras_recs.data import (
    CachedSampler,
    HardNegatives,
    ItemSets,
    PopularitySampler,
    UniformSampler,
    in_batch_negatives,
)

NUM_ITEMS = 12
COUNTS = np.array([0, 5, 1, 0, 9, 2, 2, 30, 1, 4, 7, 0])
# Nothing, one item, repeated ones out of order, all but one.
ROWS = [[], [7], [4, 1, 4, 9, 1], [i for i in range(NUM_ITEMS) if i != 5]]


def sets(rows=ROWS, num_items=NUM_ITEMS):
    splits = np.cumsum([0, *map(len, rows)])
    return ItemSets(np.concatenate(rows).astype(int), splits, num_items)


SAMPLERS = {
    "uniform": (UniformSampler(NUM_ITEMS), np.ones(NUM_ITEMS)),
    "popularity": (PopularitySampler(COUNTS, 0.5), np.sqrt(COUNTS)),
    "popularity 0": (PopularitySampler(COUNTS, 0.0), (COUNTS > 0).astype(float)),
    "popularity 1": (PopularitySampler(COUNTS), COUNTS.astype(float)),
    "cached": (CachedSampler(PopularitySampler(COUNTS), 1000), COUNTS.astype(float)),
    "cached uniform": (CachedSampler(UniformSampler(NUM_ITEMS), 7), np.ones(NUM_ITEMS)),
}


def check_frequencies(drawn, weights):
    """Chi-square below the quantile that one of a million fair samples exceeds."""
    found = np.bincount(drawn.reshape(-1), minlength=len(weights))
    assert not found[weights == 0].any()
    expected = drawn.size * weights[weights > 0] / weights.sum()
    chi_square = ((found[weights > 0] - expected) ** 2 / expected).sum()
    freedom = len(expected) - 1
    # Wilson and Hilferty's approximation.
    part = 2 / (9 * freedom) if freedom else 0
    assert chi_square <= freedom * (1 - part + 4.75 * math.sqrt(part)) ** 3 + 1e-9


@pytest.mark.parametrize("name", SAMPLERS)
def test_frequencies(name):
    sampler, weights = SAMPLERS[name]
    drawn = sampler.draw((200, 100), np.random.default_rng(0))
    assert drawn.dtype == np.int64 and drawn.shape == (200, 100)
    check_frequencies(drawn, weights)


@pytest.mark.parametrize("name", SAMPLERS)
def test_frequencies_of_what_is_not_avoided(name):
    sampler, weights = SAMPLERS[name]
    drawn = sampler.draw((4, 50, 100), np.random.default_rng(1), sets())
    assert drawn.dtype == np.int64 and drawn.shape == (4, 50, 100)
    for row, avoided in zip(drawn, ROWS):
        left = weights.copy()
        left[avoided] = 0
        check_frequencies(row, left)


@pytest.mark.parametrize("name", SAMPLERS)
def test_log_probabilities(name):
    sampler, weights = SAMPLERS[name]
    found = np.exp(sampler.log_probability(np.arange(NUM_ITEMS)))
    np.testing.assert_allclose(found, weights / weights.sum(), rtol=1e-12)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    ids = np.array([[7, 4], [1, 7]])
    np.testing.assert_allclose(np.exp(sampler.log_probability(ids)), found[ids])
    for wrong in (-1, NUM_ITEMS):
        with pytest.raises(ValueError, match=r"`ids` must be in \[0, 12\)"):
            sampler.log_probability([wrong])


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_row_that_has_every_item(name):
    sampler, _ = SAMPLERS[name]
    # 0, 3 and 11 never occur: a popular sampler has none left without them either.
    for full in (range(NUM_ITEMS), np.flatnonzero(COUNTS)):
        if "uniform" in name and len(full) < NUM_ITEMS:
            continue
        avoid = sets([[1], list(full), []])
        with pytest.raises(ValueError, match=r"`avoid` must leave an item .* in row 1"):
            sampler.draw((3, 2), np.random.default_rng(0), avoid)
    assert sampler.draw((3, 0), np.random.default_rng(0), avoid).shape == (3, 0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_arguments_of_draw(name):
    sampler, _ = SAMPLERS[name]
    rng = np.random.default_rng(0)
    for shape, avoid in (((3, 2), sets()), ((), sets()), ((4, 2), sets(num_items=13))):
        with pytest.raises(ValueError, match=r"`avoid` must have a row for each row"):
            sampler.draw(shape, rng, avoid)
    with pytest.raises(TypeError, match=r"`rng` must be .* Received: rng=0"):
        sampler.draw((2,), 0)
    assert sampler.draw((), rng).shape == ()


def test_a_rare_item_that_alone_is_left_is_found():
    """No number of tries would do: it is drawn once in a billion."""
    sampler = PopularitySampler([1, 10**9, 10**9, 0])
    drawn = sampler.draw((2, 5), np.random.default_rng(0), sets([[1, 2], [2]], 4))
    assert (drawn[0] == 0).all() and (drawn[1] == 1).all()


def test_large_counts_and_powers():
    sampler = PopularitySampler([1e200, 1e100, 0], alpha=10)
    assert sampler.log_probability([0])[0] == pytest.approx(0)
    assert sampler.log_probability([1])[0] == pytest.approx(-1000 * math.log(10))
    assert (sampler.draw((100,), np.random.default_rng(0)) == 0).all()


def test_never_an_avoided_item_among_many():
    rng = np.random.default_rng(0)
    rows = [rng.choice(500, rng.integers(0, 300), replace=False) for _ in range(40)]
    avoid = sets(rows, 500)
    popular = 1 / np.arange(1, 501)
    for sampler in (UniformSampler(500), PopularitySampler(popular)):
        drawn = sampler.draw((40, 200), rng, avoid)
        for row, own in zip(drawn, rows):
            assert not set(row.tolist()) & set(own.tolist())


def test_a_cache_hands_out_each_draw_once():
    sampler = PopularitySampler(COUNTS, 0.5)
    cached, rng = CachedSampler(sampler, 10), np.random.default_rng(0)
    found = np.concatenate([cached.draw((size,), rng) for size in (3, 4, 2, 25, 1)])
    again = np.random.default_rng(0)
    expected = np.concatenate([sampler.draw((10,), again) for _ in range(4)])
    np.testing.assert_array_equal(found, expected[:35])
    # What the caller does to a draw is the caller's.
    before = cached.draw((2,), rng)
    before[:] = -1
    assert (cached.draw((20,), rng) >= 0).all()


# === Sets of items ===


def test_item_sets():
    found = sets()
    assert len(found) == 4 and found.sizes.tolist() == [len(set(row)) for row in ROWS]
    for number, row in enumerate(ROWS):
        assert found.row(number).tolist() == sorted(set(row))
    order = [3, 0, 2, 2, 1]
    taken = found.take(order)
    assert len(taken) == 5 and taken.num_items == NUM_ITEMS
    for number, row in enumerate(order):
        assert taken.row(number).tolist() == sorted(set(ROWS[row]))
    rows, items = np.repeat(np.arange(5), NUM_ITEMS), np.tile(np.arange(NUM_ITEMS), 5)
    expected = [item in ROWS[order[row]] for row, item in zip(rows, items)]
    assert taken.contains(rows, items).tolist() == expected
    assert not sets([[], []]).contains(np.array([0, 1]), np.array([3, 4])).any()
    assert len(found.take([])) == 0


def test_errors_of_item_sets():
    for splits in ([0, 1], [1, 3], [0, 3, 2, 3], []):
        with pytest.raises(ValueError, match=r"`row_splits` must rise from 0"):
            ItemSets([1, 2, 3], splits, 9)
    for item in (-1, 9):
        with pytest.raises(
            ValueError, match=rf"`items` must be in \[0, 9\).* {item} at 1"
        ):
            ItemSets([1, item], [0, 2], 9)
    with pytest.raises(ValueError, match=r"`num_items` must be .* num_items=0"):
        ItemSets([], [0], 0)
    for row in (-1, 4):
        with pytest.raises(ValueError, match=r"`rows` must be in \[0, 4\)"):
            sets().take([0, row])


# === Hard negatives, and those of the batch ===


@pytest.mark.parametrize("pool_size, num_negatives", [(8, 3), (8, 8), (1, 1)])
def test_hard_negatives_are_the_top_of_the_pool(pool_size, num_negatives):
    sampler, pools = UniformSampler(1000), []
    values = np.random.default_rng(5).normal(size=1000)
    values[::7] = np.nan

    def score(pool):
        pools.append(pool)
        return values[pool]

    hard = HardNegatives(sampler, pool_size, num_negatives)
    drawn = hard.draw((4, 5), np.random.default_rng(0), score)
    (pool,) = pools
    assert pool.shape == (4, 5, pool_size) and drawn.shape == (4, 5, num_negatives)
    for at in np.ndindex(4, 5):
        ranked = sorted(pool[at], key=lambda i: (math.isnan(values[i]), -values[i]))
        np.testing.assert_array_equal(values[drawn[at]], values[ranked[:num_negatives]])


def test_hard_negatives_avoid():
    avoid = sets([[1, 2, 3], [10, 11]])
    hard = HardNegatives(UniformSampler(NUM_ITEMS), 50, 4)
    drawn = hard.draw((2, 3), np.random.default_rng(0), lambda pool: pool, avoid)
    assert not np.isin(drawn[0], [1, 2, 3]).any() and (drawn[0] == 11).any()
    assert not np.isin(drawn[1], [10, 11]).any() and (drawn[1] == 9).any()


def test_errors_of_hard_negatives():
    sampler = UniformSampler(NUM_ITEMS)
    for count in (0, 9):
        with pytest.raises(
            ValueError, match=rf"`num_negatives` must .*={count}, pool_size=8"
        ):
            HardNegatives(sampler, 8, count)
    hard = HardNegatives(sampler, 8, 2)
    with pytest.raises(
        ValueError, match=r"`score` must return .* Received: shape \(3,\)"
    ):
        hard.draw((3,), np.random.default_rng(0), lambda pool: pool[:, 0])


def test_in_batch_negatives():
    targets, valid = [4, 9, 4, 7], [True, True, True, False]
    for there in (None, valid):
        ids, counts = in_batch_negatives(targets, there)
        present = [True] * 4 if there is None else there
        for i in range(4):
            others = [(i + step) % 4 for step in (1, 2, 3)]
            assert ids[i].tolist() == [targets[j] for j in others]
            assert counts[i].tolist() == [
                targets[i] != targets[j] and present[i] and present[j] for j in others
            ]
    assert in_batch_negatives([3])[0].shape == (1, 0)
    assert in_batch_negatives([])[1].shape == (0, 0)
    for wrong in (([[1]], None), ([1, 2], [True])):
        with pytest.raises(
            ValueError, match=r"`targets` and `valid` must be \(batch,\)"
        ):
            in_batch_negatives(*wrong)


def test_errors_of_samplers():
    with pytest.raises(ValueError, match=r"`num_items` must be .* num_items=0"):
        UniformSampler(0)
    for counts in ([[1]], [1, -1], [1, np.inf], [np.nan]):
        with pytest.raises(ValueError, match=r"`counts` must be finite numbers"):
            PopularitySampler(counts)
    with pytest.raises(ValueError, match=r"`counts` must have an item above 0"):
        PopularitySampler([0, 0])
    with pytest.raises(ValueError, match=r"`alpha` must be .* alpha=-1"):
        PopularitySampler([1], -1)
    with pytest.raises(ValueError, match=r"`size` must be .* size=0"):
        CachedSampler(UniformSampler(3), 0)
