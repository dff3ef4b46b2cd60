"""When a save begins, so that no more steps than asked for are at risk."""

import pytest

from keras_recs.training.save_pace import SavePace


def at_risk(every, write, pause, num_saves=40):
    """The most steps between the last state on the disk and now, after warming up.

    A loop counts single steps: a write lasts so many of them, and so many more pass
    between the moment a save is due and the one whose state it has. Where the one
    before is still written then, training waits for it.
    """
    pace = SavePace(60.0, every, is_early=True)
    now = on_disk = 0
    writing = None  # step of the state that is being written
    left = 0
    most, intervals, last = 0, [], 0
    while len(intervals) < num_saves:
        now += 1
        if writing is not None:
            left -= 1
            if left <= 0:
                on_disk, writing = writing, None
        most = max(most, now - on_disk)
        pace.count(1, writing is not None)
        if not pace.is_due():
            continue
        for _ in range(pause):
            now += 1
            left -= 1
            pace.count(1, writing is not None)
            most = max(most, now - on_disk)
        if writing is not None:
            on_disk = writing
        writing, left = now, write
        pace.restart(0.0)
        intervals.append(now - last)
        last = now
    return most, intervals


@pytest.mark.parametrize("write", [0, 1, 7, 12, 40])
@pytest.mark.parametrize("pause", [0, 3, 6])
def test_no_more_than_asked_for_is_at_risk(write, pause):
    most, _ = at_risk(25, write, pause)
    assert most <= 25


@pytest.mark.parametrize(("write", "interval"), [(1, 24), (7, 18), (12, 13), (40, 12)])
def test_saves_are_as_far_apart_as_that_allows(write, interval):
    _, intervals = at_risk(25, write, 0)
    assert intervals[-1] in (interval - 1, interval)


def test_without_that_the_steps_are_those_asked_for():
    pace = SavePace(60.0, 3)
    due = []
    for _ in range(6):
        pace.count(1)
        due.append(pace.is_due())
        if due[-1]:
            pace.restart(0.5)
    assert due == [False, False, True] * 2


def test_of_a_single_step_each_one_is_saved():
    _, intervals = at_risk(1, 5, 0)
    assert set(intervals) == {1}
