"""Watch time ranked behind what nobody watched, against all pairs."""

import math

import numpy as np
import pytest

from keras_recs.metrics import auc, mispredicted_watch_time
from tests import numpy_reference


@pytest.mark.parametrize("seed", range(3))
def test_against_all_pairs(seed):
    rng = np.random.default_rng(seed)
    times = np.maximum(rng.normal(size=60), 0)
    scores = rng.normal(size=60).round(1)  # with ties
    groups = rng.choice(["a", "b", "c", "d"], 60)
    groups[0], times[0] = "alone", 9.0
    expected = numpy_reference.mispredicted_watch_time(times, scores, groups)
    assert mispredicted_watch_time(times, scores, groups) == pytest.approx(expected)


def test_of_one_group_it_is_the_rest_of_the_auc_weighted_by_time():
    rng = np.random.default_rng(0)
    times, scores = np.maximum(rng.normal(size=40), 0), rng.normal(size=40)
    weighted = auc(times > 0, scores, np.where(times > 0, times, 1))
    found = mispredicted_watch_time(times, scores, np.zeros(40))
    assert found == pytest.approx(1 - weighted)


@pytest.mark.parametrize("scores", [[math.nan, 1, 2], [math.nan] * 3])
def test_nan(scores):
    assert math.isnan(mispredicted_watch_time([1.0, 0.0, 0.0], scores, ["a"] * 3))


def test_no_pair():
    assert math.isnan(mispredicted_watch_time([1.0, 0.0], [1, 2], ["a", "b"]))


@pytest.mark.parametrize("time", [-1.0, math.nan, math.inf])
def test_messages(time):
    message = "`y_true` must hold finite numbers ≥ 0 only.*in row 1"
    with pytest.raises(ValueError, match=message):
        mispredicted_watch_time([0.0, time], [1, 2], ["a", "a"])
    with pytest.raises(ValueError, match="`groups` must have a key for each"):
        mispredicted_watch_time([0.0, 1.0], [1, 2], ["a"])
