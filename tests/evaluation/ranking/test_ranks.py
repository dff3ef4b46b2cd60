"""Ranks of targets, in a matrix, a streamed catalogue and among candidates."""

import math

import numpy as np
import pytest

from keras_recs.evaluation import (
    ItemLists,
    candidate_ranks,
    catalogue_ranks,
    target_ranks,
)

NAN, INF = math.nan, math.inf


def rank_by_loop(scores, target, excluded, ties):
    """Of one user, item by item."""
    own, rank = scores[target], 1
    for item, score in enumerate(scores):
        if item == target or item in excluded:
            continue
        if math.isnan(own):
            rank += 1
        elif not math.isnan(score):
            rank += score > own or (score == own and ties == "pessimistic")
    return rank


def ranks_by_loop(scores, targets, lists, ties):
    return [rank_by_loop(*row, ties) for row in zip(scores, targets, lists)]


def random_lists(rng, num_users, num_items, longest=6):
    """With duplicates, and empty ones."""
    return [
        rng.integers(num_items, size=rng.integers(longest)).tolist()
        for _ in range(num_users)
    ]


@pytest.mark.parametrize("ties", ["pessimistic", "optimistic"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int32"])
def test_ranks_of_a_matrix(ties, dtype):
    rng = np.random.default_rng(0)
    scores = rng.integers(-3, 4, size=(40, 12)).astype(dtype)  # many ties
    if dtype != "int32":
        scores[rng.random(scores.shape) < 0.1] = NAN
        scores[rng.random(scores.shape) < 0.05] = INF
        scores[rng.random(scores.shape) < 0.05] = -INF
    targets = rng.integers(12, size=40)
    lists = random_lists(rng, 40, 12)
    expected = ranks_by_loop(scores, targets, lists, ties)
    ranks = target_ranks(scores, targets, ItemLists.from_lists(lists), ties)
    assert ranks.dtype == "int64"
    assert ranks.tolist() == expected
    without = target_ranks(scores, targets, ties=ties)
    assert without.tolist() == ranks_by_loop(scores, targets, [()] * 40, ties)


@pytest.mark.parametrize("ties", ["pessimistic", "optimistic"])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("memory_bytes", [1 << 28, 9_000])
def test_ranks_of_a_catalogue(ties, with_bias, memory_bytes):
    """Whole numbers: exact in any order of summation."""
    rng = np.random.default_rng(1)
    queries = rng.integers(-2, 3, size=(37, 4)).astype("float32")
    items = rng.integers(-2, 3, size=(101, 4)).astype("float64")
    items[7] = NAN
    queries[3] = NAN
    bias = None
    scores = np.einsum("ud,vd->uv", queries, items)
    if with_bias:
        bias = rng.integers(-2, 3, size=101).astype("float32")
        bias[[50, 60]] = -INF, INF
        scores = scores + bias
    targets = rng.integers(101, size=37)
    targets[[5, 6]] = 7, 60
    lists = random_lists(rng, 37, 101, 50)
    ranks = catalogue_ranks(
        queries,
        items,
        targets,
        bias,
        ItemLists.from_lists(lists),
        ties,
        memory_bytes,
    )
    assert ranks.dtype == "int64"
    assert ranks.tolist() == ranks_by_loop(scores, targets, lists, ties)


@pytest.mark.parametrize("num_items", [23, 700, 16_500])
def test_copies_of_an_item_tie(num_items):
    """Though products in float32 may differ in their last digit."""
    rng = np.random.default_rng(2)
    queries = rng.normal(size=(19, 33)).astype("float32")
    distinct = rng.normal(size=(7, 33)).astype("float32")
    kind = rng.integers(7, size=num_items)
    targets = rng.integers(num_items, size=19)
    bias = rng.normal(size=7).astype("float32")
    scores = queries.astype("float64") @ distinct.T.astype("float64") + bias
    counts = np.bincount(kind, minlength=7)
    for ties in ("pessimistic", "optimistic"):
        ranks = catalogue_ranks(queries, distinct[kind], targets, bias[kind], ties=ties)
        for user, target in enumerate(kind[targets]):
            above = counts[scores[user] > scores[user, target]].sum()
            same = counts[target] - 1 if ties == "pessimistic" else 0
            assert ranks[user] == 1 + above + same


def test_a_model_that_gives_all_items_one_embedding():
    items = np.full((700, 5), 0.1, "float32")
    queries = np.random.default_rng(0).normal(size=(20, 5))
    targets = np.arange(20)
    assert catalogue_ranks(queries, items, targets).tolist() == [700] * 20
    ranks = catalogue_ranks(queries, items, targets, ties="optimistic")
    assert ranks.tolist() == [1] * 20
    queries[3] = NAN
    assert catalogue_ranks(queries, items, targets).tolist() == [700] * 20
    # But not where their biases differ.
    queries[3] = 0
    bias = np.arange(700, dtype="float32")
    ranks = catalogue_ranks(queries, items, targets, bias)
    assert ranks.tolist() == (700 - targets).tolist()


def test_an_item_that_is_there_twice():
    rng = np.random.default_rng(0)
    items = np.repeat(rng.normal(size=(300, 20)), 2, axis=0)
    queries, targets = rng.normal(size=(64, 20)), rng.integers(600, size=64)
    last = catalogue_ranks(queries, items, targets)
    first = catalogue_ranks(queries, items, targets, ties="optimistic")
    assert (last == first + 1).all()
    twin = ItemLists.from_lists([[target ^ 1] for target in targets])
    alone = catalogue_ranks(queries, items, targets, excluded=twin)
    np.testing.assert_array_equal(alone, first)


def test_a_catalogue_on_disk(tmp_path):
    rng = np.random.default_rng(3)
    items = np.lib.format.open_memmap(tmp_path / "items.npy", "w+", "float16", (300, 8))
    items[:] = rng.integers(-3, 4, size=items.shape)
    queries = rng.integers(-3, 4, size=(5, 8))
    targets = np.arange(5)
    expected = target_ranks(queries @ np.asarray(items).T.astype(int), targets)
    ranks = catalogue_ranks(queries, items, targets, memory_bytes=20_000)
    assert ranks.tolist() == expected.tolist()


def test_a_permutation_of_the_items_changes_nothing():
    rng = np.random.default_rng(4)
    scores = rng.integers(5, size=(9, 30))
    targets = rng.integers(30, size=9)
    order = rng.permutation(30)
    place = np.argsort(order)
    ranks = target_ranks(scores, targets)
    assert ranks.tolist() == target_ranks(scores[:, order], place[targets]).tolist()


def test_all_others_excluded():
    everything = ItemLists.from_lists([range(4), [0, 0, 1, 1, 2, 3]])
    scores = np.array([[0.0, 1, 2, 3], [NAN, NAN, NAN, NAN]])
    assert target_ranks(scores, [0, 2], everything).tolist() == [1, 1]
    ranks = catalogue_ranks(np.eye(2), scores.T, [0, 2], excluded=everything)
    assert ranks.tolist() == [1, 1]


def test_no_users():
    nobody = np.empty(0, int)
    assert target_ranks(np.empty((0, 5)), nobody).shape == (0,)
    assert target_ranks(np.empty((0, 5)), [], ItemLists.from_lists([])).shape == (0,)
    assert target_ranks(np.empty((0, 0)), nobody).shape == (0,)
    assert catalogue_ranks(np.empty((0, 2)), np.ones((5, 2)), nobody).shape == (0,)
    assert candidate_ranks(np.empty((0, 3))).tolist() == []


@pytest.mark.parametrize("ties", ["pessimistic", "optimistic"])
def test_ranks_of_candidates(ties):
    rng = np.random.default_rng(5)
    scores = rng.integers(-2, 3, size=(30, 8)).astype("float32")
    scores[rng.random(scores.shape) < 0.1] = NAN
    expected = ranks_by_loop(scores, [0] * 30, [()] * 30, ties)
    assert candidate_ranks(scores, ties).tolist() == expected
    assert candidate_ranks(scores[:, :1], ties).tolist() == [1] * 30


def test_errors_of_ranks():
    scores = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"0 … 2. Received: item 3 of user 1"):
        target_ranks(scores, [0, 3])
    with pytest.raises(ValueError, match="Received: item -1 of user 0"):
        catalogue_ranks(np.zeros((2, 4)), np.zeros((3, 4)), [-1, 0])
    with pytest.raises(ValueError, match="an integer for each of 2 users"):
        target_ranks(scores, [0])
    with pytest.raises(ValueError, match="dtype float64"):
        target_ranks(scores, [0.0, 1.0])
    with pytest.raises(ValueError, match="`scores` must be a matrix, a row"):
        target_ranks(scores[0], [0])
    with pytest.raises(ValueError, match="`scores` must be a matrix, the target"):
        candidate_ranks(np.zeros((2, 0)))
    with pytest.raises(ValueError, match=r"`ties` must be one of .*ties='mean'"):
        target_ranks(scores, [0, 1], ties="mean")
    with pytest.raises(ValueError, match="`ties` must be one of"):
        catalogue_ranks(np.zeros((2, 4)), np.zeros((3, 4)), [1, 0], ties="")
    with pytest.raises(TypeError, match=r"`excluded` must be `ItemLists`.*list"):
        target_ranks(scores, [0, 1], [[1], [2]])
    with pytest.raises(ValueError, match="a list for each of 2 users"):
        target_ranks(scores, [0, 1], ItemLists.from_lists([[1]]))
    with pytest.raises(ValueError, match="Received: item 5 of user 1"):
        target_ranks(scores, [0, 1], ItemLists.from_lists([[1], [2, 5]]))
    with pytest.raises(ValueError, match="`queries` and `items` must be matrices"):
        catalogue_ranks(np.zeros((2, 4)), np.zeros((3, 5)), [1, 0])
    with pytest.raises(ValueError, match="`item_bias` must be a number for each of 3"):
        catalogue_ranks(np.zeros((2, 4)), np.zeros((3, 4)), [1, 0], np.zeros(2))
    with pytest.raises(ValueError, match="`memory_bytes` must be at least"):
        catalogue_ranks(np.zeros((2, 4)), np.zeros((3, 4)), [1, 0], memory_bytes=100)


def test_item_lists():
    lists = [[3, 1, 3], [], [0], []]
    joined = ItemLists.from_lists(lists)
    assert len(joined) == 4
    assert [joined[user].tolist() for user in range(4)] == lists
    assert [items.tolist() for items in joined] == lists
    assert joined.users.tolist() == [0, 0, 0, 2]
    assert [items.tolist() for items in joined.part(1, 3)] == lists[1:3]
    assert len(ItemLists.from_lists([])) == 0
    assert ItemLists.from_lists([[], []]).items.dtype == "int64"
    same = ItemLists(np.array([3, 1, 3, 0], "int32"), [0, 3, 3, 4, 4])
    assert same.items.tolist() == joined.items.tolist()
    with pytest.raises(IndexError, match=r"0 … 3. Received: -1"):
        joined[-1]


def test_errors_of_item_lists():
    with pytest.raises(
        ValueError, match=r"`items` must be a vector of integers.*float"
    ):
        ItemLists.from_lists([[1.5]])
    with pytest.raises(ValueError, match="Received: -2 of user 1"):
        ItemLists.from_lists([[1], [4, -2]])
    for offsets in ([], [1, 2], [0, 1], [0, 2, 1, 2]):
        with pytest.raises(ValueError, match="`offsets` must begin with 0"):
            ItemLists([4, 5], np.array(offsets, int))
    with pytest.raises(ValueError, match="`offsets` must be a vector"):
        ItemLists([4], [[0, 1]])
