"""The best items of a streamed catalogue beside a full sort."""

import math
import tracemalloc

import numpy as np
import pytest

from keras_recs.evaluation import ItemLists, catalogue_top_k
from keras_recs.evaluation.ranking.score_keys import (
    MAX_ITEMS,
    MISSING,
    ids_of_keys,
    score_keys,
    scores_of_keys,
)

NAN, INF = math.nan, math.inf


def sorted_by_loop(scores, k, excluded):
    """Ids and scores of one user."""
    candidates = [item for item in range(len(scores)) if item not in excluded]

    def place(item):
        score = scores[item]
        return (1, 0, item) if math.isnan(score) else (0, -score, item)

    ids = sorted(candidates, key=place)[:k]
    found = [float(scores[item]) for item in ids]
    lacking = k - len(ids)
    return ids + [-1] * lacking, found + [-INF] * lacking


def check(queries, items, k, bias=None, lists=None, memory_bytes=1 << 28):
    """Of products that are exact."""
    scores = np.einsum("ud,vd->uv", queries, items)
    scores = scores if bias is None else scores + bias
    excluded = None if lists is None else ItemLists.from_lists(lists)
    ids, found = catalogue_top_k(queries, items, k, bias, excluded, memory_bytes)
    assert (ids.dtype, found.dtype) == ("int64", "float32")
    assert ids.shape == found.shape == (len(queries), k)
    for user, row in enumerate(scores):
        expected = sorted_by_loop(row, k, set(lists[user]) if lists else ())
        assert ids[user].tolist() == expected[0], user
        np.testing.assert_array_equal(found[user], expected[1])
    return ids, found


def whole(rng, *shape):
    return rng.integers(-2, 3, size=shape).astype("float32")


@pytest.mark.parametrize("k", [1, 3, 40, 130])
@pytest.mark.parametrize("memory_bytes", [1 << 28, 120_000])
def test_it_equals_a_full_sort(k, memory_bytes):
    """With ties everywhere, infinities, NaN and excluded items; k > V too."""
    rng = np.random.default_rng(k)
    queries, items, bias = whole(rng, 21, 3), whole(rng, 101, 3), whole(rng, 101)
    bias[[4, 50]] = -INF
    bias[[60, 61]] = INF
    bias[[5, 99]] = NAN
    queries[2] = NAN
    lists = [rng.integers(101, size=rng.integers(90)).tolist() for _ in range(21)]
    lists[7] = list(range(101))
    lists[8] = [*range(4), *range(6, 99), 100] * 2  # −∞, NaN and NaN are left
    check(queries, items, k, bias, lists, memory_bytes)


@pytest.mark.parametrize("order", ["random", "rising", "falling", "equal"])
def test_more_items_than_a_chunk(order):
    """Two chunks and a part of one, whatever the order of the scores."""
    rng = np.random.default_rng(0)
    items = rng.integers(-99, 100, size=(18_000, 1)).astype("float32")
    if order == "equal":
        items[:] = 1
    elif order != "random":
        items = np.sort(items, axis=0)[:: 1 if order == "rising" else -1]
    lists = [[], [*range(5_000), 17_999], [3]]
    check(np.array([[1.0], [2.0], [-1.0]]), items, 20, None, lists)


def test_more_users_than_a_chunk():
    rng = np.random.default_rng(0)
    check(whole(rng, 1_040, 2), whole(rng, 30, 2), 4, whole(rng, 30))


def test_numbers_that_are_not_whole():
    """Scores to the precision of float32, in order, those of the ids."""
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(11, 16)).astype("float32")
    items = rng.normal(size=(9_000, 16)).astype("float32")
    ids, found = catalogue_top_k(queries, items, 50)
    scores = queries.astype("float64") @ items.T.astype("float64")
    expected = -np.sort(-scores, axis=1)[:, :50]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(
        np.take_along_axis(scores, ids, axis=1), found, rtol=1e-5
    )
    assert (np.diff(found, axis=1) <= 0).all()
    assert all(len(set(row)) == 50 for row in ids.tolist())


def test_numbers_after_many_nan():
    bias = np.full(9_000, NAN, "float32")
    bias[[0, 1_300, 8_500, 8_999]] = 1, 2, -INF, 3
    items = np.ones((9_000, 1), "float32")
    ids, scores = catalogue_top_k(np.ones((1, 1)), items, 5, bias)
    assert ids.tolist() == [[8_999, 1_300, 0, 8_500, 1]]
    np.testing.assert_array_equal(scores, [[4, 3, 2, -INF, NAN]])


@pytest.mark.parametrize("best", [0, 1_023, 1_024, 16_383, 16_384, 16_999])
def test_the_ends_of_chunks(best):
    items = np.zeros((17_000, 1), "float32")
    items[best] = 1
    ids, _ = catalogue_top_k(np.ones((2, 1)), items, 1)
    assert ids.tolist() == [[best]] * 2


def test_keys_have_the_order_of_the_ranking():
    scores = np.array([INF, 2, 1e-40, 0.0, -0.0, -1e-40, -2, -INF, NAN], "float32")
    keys = score_keys(scores, np.arange(9))
    assert (np.diff(keys) < 0).all()
    assert (keys > MISSING).all()
    assert score_keys(-np.zeros(1, "float32"), np.ones(1, int)) == score_keys(
        np.zeros(1, "float32"), np.ones(1, int)
    )
    np.testing.assert_array_equal(scores_of_keys(keys), scores)
    assert ids_of_keys(keys).tolist() == list(range(9))
    ends = score_keys(np.zeros(2, "float32"), np.array([0, MAX_ITEMS - 1]))
    assert ids_of_keys(ends).tolist() == [0, MAX_ITEMS - 1]
    assert ends[0] > ends[1]


def test_nothing_to_rank():
    ids, scores = catalogue_top_k(np.empty((0, 2)), np.ones((3, 2)), 2)
    assert ids.shape == scores.shape == (0, 2)
    ids, scores = catalogue_top_k(np.ones((2, 2)), np.empty((0, 2)), 2)
    assert ids.tolist() == [[-1, -1]] * 2
    assert scores.tolist() == [[-INF, -INF]] * 2


@pytest.mark.parametrize("order", ["random", "rising"])
@pytest.mark.parametrize("k", [10, 500])
def test_memory_is_bounded(order, k):
    """As NumPy counts it, in the best and the worst order."""
    rng = np.random.default_rng(0)
    items = rng.normal(size=(6_000, 1)).astype("float32")
    if order == "rising":
        items = np.sort(items, axis=0)
    queries = np.ones((300, 1), "float32")
    limit = 12 << 20
    tracemalloc.start()
    catalogue_top_k(queries, items, k, memory_bytes=limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < limit + 300 * k * 12  # and the result


def test_errors_of_top_k():
    queries, items = np.ones((2, 3)), np.ones((4, 3))
    for k in (0, 1.0, True, "1"):
        with pytest.raises(ValueError, match="`k` must be an integer of at least 1"):
            catalogue_top_k(queries, items, k)
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(3, 4\)"):
        catalogue_top_k(queries, items.T, 1)
    with pytest.raises(ValueError, match="`memory_bytes` must be at least"):
        catalogue_top_k(queries, items, 1, memory_bytes=100)
    with pytest.raises(ValueError, match=r"`excluded` must hold .* item 9 of user 0"):
        catalogue_top_k(queries, items, 1, excluded=ItemLists.from_lists([[9], []]))
    many = np.broadcast_to(np.ones((1, 3), "float32"), (1 << 32, 3))
    with pytest.raises(ValueError, match="`items` must have at most 4294967295 rows"):
        catalogue_top_k(queries, many, 1)
