"""Which events train, validate and test."""

import numpy as np
import pytest

from keras_recs.evaluation import (
    ItemLists,
    catalogue_ranks,
    leave_one_out,
    split_by_time,
    split_sessions,
)


def test_the_last_two_events_are_held_out():
    rng = np.random.default_rng(0)
    lists = [rng.integers(9, size=size).tolist() for size in (5, 0, 3, 1, 2, 3, 0)]
    parts = leave_one_out(ItemLists.from_lists(lists))
    assert all(isinstance(part, ItemLists) for part in parts)
    for user, events in enumerate(lists):
        found = [part[user].tolist() for part in parts]
        if len(events) < 3:
            assert found == [events, [], []]
        else:
            assert found == [events[:-2], events[-2:-1], events[-1:]]
    assert [len(part) for part in parts] == [7] * 3
    assert [len(part) for part in leave_one_out(ItemLists.from_lists([]))] == [0] * 3
    with pytest.raises(TypeError, match="`sequences` must be `ItemLists`"):
        leave_one_out(lists)


def test_an_item_that_only_the_test_has():
    """Is ranked like any other, if the table has a row for it."""
    train, _, test = leave_one_out(ItemLists.from_lists([[0, 1, 4], [1, 0, 2]]))
    assert 4 not in train.items
    items = np.arange(5.0)[:, None]
    ranks = catalogue_ranks(np.ones((2, 1)), items, test.items, excluded=train)
    assert ranks.tolist() == [1, 3]


def test_times_before_and_after():
    rng = np.random.default_rng(0)
    times = rng.integers(20, size=200)  # with duplicates
    parts = split_by_time(times, (8, 15))
    for part in parts:
        assert part.dtype == "int64"
        assert (np.diff(part) > 0).all()
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    train, validation, test = (set(times[part].tolist()) for part in parts)
    assert train == set(range(8))
    assert validation == set(range(8, 15))
    assert test == set(range(15, 20))
    empty = split_by_time([3.0, 4.0], (1, 1))
    assert [part.tolist() for part in empty] == [[], [], [0, 1]]
    assert [part.tolist() for part in split_by_time([], (1, 2))] == [[], [], []]


def test_sessions_stay_whole():
    rng = np.random.default_rng(0)
    sessions = rng.integers(40, size=300)
    times = rng.random(300) + sessions / 20
    parts = split_sessions(sessions, times, (1.3, 2.0))
    assert sorted(np.concatenate(parts).tolist()) == list(range(300))
    for number, part in enumerate(parts):
        for session in np.unique(sessions[part]):
            own = sessions == session
            assert set(np.flatnonzero(own)) <= set(part.tolist())
            end = max(times[own])
            assert number == int(end >= 1.3) + int(end >= 2.0)
    names = np.array([f"s{session}" for session in sessions])
    for part, same in zip(parts, split_sessions(names, times, (1.3, 2.0))):
        np.testing.assert_array_equal(part, same)
    assert [part.tolist() for part in split_sessions([], [], (1, 2))] == [[], [], []]


def test_errors_of_splits():
    for cut_offs in ((1,), (2, 1), (1, np.inf), (np.nan, 1), (1, 2, 3)):
        with pytest.raises(ValueError, match="`cut_offs` must be the first times"):
            split_by_time([1, 2], cut_offs)
    for times in ([1, np.nan], [[1, 2]]):
        with pytest.raises(ValueError, match="`times` must be a vector of finite"):
            split_by_time(times, (1, 2))
    with pytest.raises(ValueError, match="must be vectors of one length"):
        split_sessions([1, 2], [1], (1, 2))
    with pytest.raises(ValueError, match="`cut_offs` must be"):
        split_sessions([1], [1], (2, 1))
