"""Predicted over observed."""

import math

import pytest

from keras_recs.metrics import calibration_ratio


@pytest.mark.parametrize(
    ("y", "p", "weight", "expected"),
    [
        ([1, 0], [0.5, 0.5], None, 1.0),
        ([1, 0, 0, 0], [0.5] * 4, None, 2.0),
        ([1, 1], [0.25, 0.25], None, 0.25),
        ([1, 0], [0.4, 0.6], [3, 1], (3 * 0.4 + 0.6) / 3),
        ([30.0, 0, 10.0], [20, 10, 20], None, 1.25),  # times
    ],
)
def test_values(y, p, weight, expected):
    assert calibration_ratio(y, p, weight) == pytest.approx(expected)


def test_no_positive():
    assert math.isnan(calibration_ratio([0, 0], [0.1, 0.2]))
    assert math.isnan(calibration_ratio([1, 0], [0.1, 0.2], [0, 1]))


def test_messages():
    with pytest.raises(ValueError, match="Received lengths: 1, 2, 1"):
        calibration_ratio([1], [0.1, 0.2])
    with pytest.raises(ValueError, match=r"must hold finite numbers ≥ 0 only.*-1.0"):
        calibration_ratio([1, -1], [0.1, 0.2])
