"""Candidates that are drawn for each user, and the protocols made of them."""

import itertools

import numpy as np
import pytest

from keras_recs.evaluation import (
    ItemLists,
    candidate_ranks,
    draw_negatives,
    leave_one_out,
)

SEEN = ItemLists.from_lists([[0, 2, 2], [], [4, 5, 1]])


def close(found, expected, count):
    """Within five standard deviations of a frequency."""
    deviation = np.sqrt(expected * (1 - expected) / count)
    return abs(found - expected) <= 5 * deviation + 1e-12


@pytest.mark.parametrize("method", ["uniform", "popularity"])
@pytest.mark.parametrize("distinct", [True, False])
def test_none_is_the_users_own(method, distinct):
    counts = np.array([9, 3, 5, 0, 1, 2, 8, 4]) if method == "popularity" else None
    rows = np.arange(600) % 3
    lists = ItemLists.from_lists([SEEN[row] for row in rows])
    drawn = draw_negatives(lists, 8, 4, method, counts, distinct)
    assert drawn.shape == (600, 4)
    assert drawn.dtype == "int64"
    assert ((drawn >= 0) & (drawn < 8)).all()
    for row, items in zip(rows, drawn.tolist()):
        assert not set(items) & set(SEEN[row].tolist())
        assert not distinct or len(set(items)) == 4
        assert counts is None or 3 not in items
    if not distinct:
        assert any(len(set(items)) < 4 for items in drawn.tolist())
    again = draw_negatives(lists, 8, 4, method, counts, distinct)
    np.testing.assert_array_equal(drawn, again)
    other = draw_negatives(lists, 8, 4, method, counts, distinct, seed=1)
    assert (drawn != other).any()


@pytest.mark.parametrize("num_items", [6, 4])
@pytest.mark.parametrize("weights", [None, [1, 2, 3, 4, 0, 8]])
def test_distinct_draws_are_successive(num_items, weights):
    """Each ordered list has the product of its conditional probabilities.

    Of four items, two are left for two draws.
    """
    users = 20_000
    own = {0, 3} if num_items == 4 else {3}
    lists = ItemLists.from_lists([sorted(own)] * users)
    counts = None if weights is None else weights[:num_items]
    method = "uniform" if weights is None else "popularity"
    drawn = draw_negatives(lists, num_items, 2, method, counts)
    p = np.ones(num_items) if counts is None else np.array(counts, float)
    p[sorted(own)] = 0
    for pair in itertools.permutations(np.flatnonzero(p).tolist(), 2):
        expected = p[pair[0]] / p.sum() * p[pair[1]] / (p.sum() - p[pair[0]])
        found = (drawn == pair).all(axis=1).mean()
        assert close(found, expected, users), pair


@pytest.mark.parametrize("rare", [False, True])
def test_draws_with_replacement_are_independent(rare):
    """Also where nearly all draws are the user's own items."""
    users = 20_000
    counts = np.array([1, 3, 2, 1000 if rare else 4])
    lists = ItemLists.from_lists([[3]] * users)
    drawn = draw_negatives(lists, 4, 2, "popularity", counts, distinct=False)
    for pair in itertools.product(range(3), repeat=2):
        expected = counts[pair[0]] / 6 * counts[pair[1]] / 6
        assert close((drawn == pair).all(axis=1).mean(), expected, users), pair


def test_successive_draws_where_little_is_left():
    """Nearly all draws are the user's own, so the rest is drawn by its own means."""
    users = 3_000
    counts = np.array([1, 3, 2, 100_000])
    lists = ItemLists.from_lists([[3]] * users)
    drawn = draw_negatives(lists, 4, 2, "popularity", counts)
    for pair in itertools.permutations(range(3), 2):
        expected = counts[pair[0]] / 6 * counts[pair[1]] / (6 - counts[pair[0]])
        assert close((drawn == pair).all(axis=1).mean(), expected, users), pair


def test_all_that_is_left_is_drawn():
    lists = ItemLists.from_lists([[0, 1], [5], []])
    drawn = draw_negatives(lists.part(0, 1), 6, 4)
    assert sorted(drawn[0].tolist()) == [2, 3, 4, 5]
    one = draw_negatives(ItemLists.from_lists([[0, 1, 3]]), 4, 7, distinct=False)
    assert one.tolist() == [[2] * 7]


def test_more_users_than_are_drawn_for_at_once():
    lists = ItemLists.from_lists([[user % 9] for user in range(5_000)])
    drawn = draw_negatives(lists, 10, 3)
    assert (drawn != (np.arange(5_000) % 9)[:, None]).all()
    assert draw_negatives(ItemLists.from_lists([]), 10, 3).shape == (0, 3)


def test_errors_of_draws():
    with pytest.raises(ValueError, match=r"left to draw.*user 2 has 3 left of 4"):
        draw_negatives(SEEN, 6, 4)
    with pytest.raises(ValueError, match="user 0 has 2 left of 3"):
        draw_negatives(SEEN, 6, 3, "popularity", [1, 0, 1, 0, 1, 1])
    late = ItemLists.from_lists([[]] * 4_999 + [[0, 1]])
    with pytest.raises(ValueError, match="user 4999 has 0 left of 1"):
        draw_negatives(late, 2, 2, distinct=False)
    with pytest.raises(ValueError, match=r"one of .*method='zipf'"):
        draw_negatives(SEEN, 9, 1, "zipf")
    with pytest.raises(ValueError, match=r"`counts` must be given.*counts None"):
        draw_negatives(SEEN, 9, 1, "popularity")
    with pytest.raises(ValueError, match=r"`counts` must be given.*of type list"):
        draw_negatives(SEEN, 9, 1, counts=[1] * 9)
    with pytest.raises(ValueError, match="a number for each of 9 items"):
        draw_negatives(SEEN, 9, 1, "popularity", [1] * 8)
    for wrong in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"Received: {wrong}.* of item 1"):
            draw_negatives(SEEN, 6, 1, "popularity", [1, wrong, 1, 1, 1, 1])
    with pytest.raises(ValueError, match="`num_negatives` must be an integer"):
        draw_negatives(SEEN, 9, 0)
    with pytest.raises(ValueError, match="`num_items` must be an integer"):
        draw_negatives(SEEN, 9.0)
    with pytest.raises(ValueError, match=r"`positives` must hold .* item 5 of user 2"):
        draw_negatives(SEEN, 5, 1)
    with pytest.raises(TypeError, match="`positives` must be `ItemLists`"):
        draw_negatives([[1]], 9, 1)


# === Protocols of papers ===


def histories(users=50, items=400):
    rng = np.random.default_rng(0)
    return ItemLists.from_lists(
        rng.choice(items, size=size, replace=False)
        for size in rng.integers(3, 9, size=users)
    )


def test_sasrec_authors():
    """Only what was trained on is drawn anew: even the target can be drawn."""
    train, _, test = leave_one_out(histories(items=60))
    drawn = draw_negatives(train, 60, 100, distinct=False)
    targets = test.items
    assert (drawn == targets[:, None]).any()
    scores = np.random.default_rng(1).integers(9, size=(50, 60))
    candidates = np.concatenate([targets[:, None], drawn], axis=1)
    chosen = np.take_along_axis(scores, candidates, axis=1)
    ranks = candidate_ranks(chosen, ties="optimistic")
    for user in range(50):
        # As the authors rank: a stable sort, in which the target stands first.
        order = np.argsort(-chosen[user], kind="stable")
        assert ranks[user] == 1 + order.tolist().index(0)


def test_distinct_items_outside_the_whole_history():
    history = histories()
    _, _, test = leave_one_out(history)
    drawn = draw_negatives(history, 400)
    assert drawn.shape == (50, 100)
    for user, items in enumerate(drawn.tolist()):
        assert len({*items, *history[user].tolist()}) == 100 + len(history[user])
    assert not (drawn == test.items[:, None]).any()
    everything_ties = candidate_ranks(np.zeros((50, 101)))
    assert everything_ties.tolist() == [101] * 50


def test_bert4rec():
    history = histories()
    counts = np.bincount(history.items, minlength=400)
    drawn = draw_negatives(history, 400, 100, "popularity", counts)
    assert counts[drawn].min() > 0
    assert counts[drawn].mean() > counts[counts > 0].mean()
