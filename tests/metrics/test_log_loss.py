"""Cross-entropy, example by example."""

import math

import numpy as np
import pytest

from keras_recs.metrics import log_loss
from tests import numpy_reference

RNG = np.random.default_rng(0)
Y, P = RNG.integers(0, 2, 30), RNG.uniform(0.01, 0.99, 30)
W = RNG.uniform(0, 2, 30)


def test_values():
    assert log_loss(Y, P) == pytest.approx(numpy_reference.log_loss(Y, P))
    assert log_loss(Y, P, W) == pytest.approx(numpy_reference.log_loss(Y, P, W))
    assert log_loss([1, 0], [0.5, 0.5]) == pytest.approx(math.log(2))


def test_certainty_is_clipped():
    assert log_loss([1], [0.0]) == pytest.approx(-math.log(1e-7))
    assert log_loss([0], [1.0], epsilon=1e-3) == pytest.approx(-math.log(1e-3))
    assert log_loss([1, 0], [1.0, 0.0]) == pytest.approx(1e-7, rel=1e-3)


def test_nan():
    assert math.isnan(log_loss([1, 0], [float("nan"), 0.5]))
    assert math.isnan(log_loss([1, 0], [0.5, 0.5], [0, 0]))


def test_the_base_rate_is_the_best_constant():
    rate = Y.mean()
    best = log_loss(Y, np.full(30, rate))
    assert all(log_loss(Y, np.full(30, rate + d)) > best for d in (-0.05, 0.05))


def test_messages():
    with pytest.raises(ValueError, match="`y_true` must hold 0 and 1 only"):
        log_loss([0.5], [0.5])
