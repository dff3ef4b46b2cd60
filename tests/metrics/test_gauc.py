"""Group AUC, against one group after the other."""

import math

import numpy as np
import pytest

from keras_recs.metrics import auc, gauc
from tests import numpy_reference

NAN = float("nan")


@pytest.mark.parametrize("levels", [2, 9, 10**6])
@pytest.mark.parametrize("num_groups", [1, 4, 50])
def test_groups_with_ties(num_groups, levels):
    rng = np.random.default_rng(num_groups)
    y, p = rng.integers(0, 2, 120), rng.integers(0, levels, 120) / levels
    groups = rng.integers(0, num_groups, 120)
    expected = numpy_reference.gauc(y, p, groups)
    assert gauc(y, p, groups) == pytest.approx(expected, abs=1e-12)
    for keys in (groups.astype(str), groups.astype("S"), [f"user {g}" for g in groups]):
        assert gauc(y, p, keys) == pytest.approx(expected, abs=1e-12)


def test_by_hand():
    """Groups weigh their examples; b, of one class, is left out."""
    y = [1, 0, 0, 1, 0, 1, 1]
    p = [0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    groups = ["a", "a", "a", "c", "c", "b", "b"]
    assert gauc(y, p, groups) == pytest.approx((3 * 1.0 + 2 * 0.0) / 5)


def test_one_group_is_the_auc():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 40), rng.normal(size=40)
    assert gauc(y, p, [7] * 40) == pytest.approx(auc(y, p), abs=1e-12)


def test_a_shift_of_a_whole_group_changes_nothing():
    rng = np.random.default_rng(0)
    y, p, groups = rng.integers(0, 2, 60), rng.normal(size=60), rng.integers(0, 5, 60)
    assert gauc(y, p + 10 * groups, groups) == pytest.approx(
        gauc(y, p, groups), abs=1e-12
    )


@pytest.mark.parametrize("p", [[NAN, -5.0, 1.0], [NAN] * 3])
def test_nan(p):
    assert math.isnan(gauc([1, 0, 1], p, ["a", "a", "b"]))


def test_no_group_of_both_classes():
    assert math.isnan(gauc([1, 0], [0.1, 0.2], ["a", "b"]))


def test_messages():
    with pytest.raises(
        ValueError, match=r"`groups` must have a key .*1 keys for 2 examples"
    ):
        gauc([1, 0], [0.1, 0.2], ["a"])
    with pytest.raises(ValueError, match="Received lengths: 2, 1, 2"):
        gauc([1, 0], [0.1], ["a", "b"])
