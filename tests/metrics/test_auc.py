"""Exact AUC, against all pairs."""

import math

import numpy as np
import pytest

from keras_recs.metrics import auc
from tests import numpy_reference

NAN = float("nan")


def data(seed, size=60, levels=8):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, size), rng.integers(0, levels, size) / levels


@pytest.mark.parametrize("levels", [1, 2, 8, 10**6])
def test_all_pairs_with_ties(levels):
    y, p = data(levels, levels=levels)
    assert auc(y, p) == pytest.approx(numpy_reference.auc(y, p), abs=1e-12)


def test_weights():
    y, p = data(1)
    weight = np.random.default_rng(2).integers(0, 4, len(y)) / 2
    assert auc(y, p, weight) == pytest.approx(
        numpy_reference.auc(y, p, weight), abs=1e-12
    )
    # A weight of 2 is the example twice, a weight of 0 leaves it out.
    counts = np.random.default_rng(3).integers(0, 3, len(y))
    twice = auc(np.repeat(y, counts), np.repeat(p, counts))
    assert auc(y, p, counts) == pytest.approx(twice, abs=1e-12)


@pytest.mark.parametrize(
    ("y", "p", "expected"),
    [
        ([0, 1], [0.1, 0.9], 1.0),
        ([1, 0], [0.1, 0.9], 0.0),
        ([1, 0], [0.5, 0.5], 0.5),
        ([1, 0], [math.inf, 1e300], 1.0),
    ],
)
def test_by_hand(y, p, expected):
    assert auc(y, p) == expected


def test_any_increasing_function_and_order_keep_it():
    y, p = data(4)
    assert auc(y, np.exp(5 * p) - 3) == auc(y, p)
    assert auc(y, -p) == pytest.approx(1 - auc(y, p), abs=1e-12)
    order = np.random.default_rng(0).permutation(len(y))
    assert auc(y[order], p[order]) == pytest.approx(auc(y, p), abs=1e-12)


def test_scores_that_thresholds_cannot_tell_apart():
    """`keras.metrics.AUC` sees one bucket here and says 0.5 or so."""
    y = np.array([0, 0, 1, 1])
    assert auc(y, [0.99991, 0.99992, 0.99993, 0.99994]) == 1.0


@pytest.mark.parametrize("y", [[0, 0], [1, 1]])
def test_one_class(y):
    assert math.isnan(auc(y, [0.1, 0.2]))


@pytest.mark.parametrize("p", [[NAN, 0.1, 0.2], [NAN] * 3, [-math.inf, NAN, 0]])
def test_nan(p):
    assert math.isnan(auc([1, 0, 0], p))


def test_shapes_are_flattened():
    y, p = data(5)
    assert auc(y[:, None].tolist(), p[:, None]) == auc(y, p)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([1, 0], [0.1]),
            "must have one length of at least 1. Received lengths: 2, 1, 2",
        ),
        (([], []), "Received lengths: 0, 0, 0"),
        (([1, 0], [0.1, 0.2], [1]), "Received lengths: 2, 2, 1"),
        (
            ([0, 2], [0.1, 0.2]),
            "`y_true` must hold 0 and 1 only. Received: 2.0 in row 1",
        ),
        (
            ([0, NAN], [0.1, 0.2]),
            "`y_true` must hold 0 and 1 only. Received: nan in row 1",
        ),
        (([0, 1], [0.1, 0.2], [1, -1]), "`sample_weight` must not be negative.*-1.0"),
        (([0, 1], [0.1, 0.2], [1, NAN]), "`sample_weight` must not be .*nan"),
    ],
)
def test_messages(arguments, message):
    with pytest.raises(ValueError, match=message):
        auc(*arguments)
