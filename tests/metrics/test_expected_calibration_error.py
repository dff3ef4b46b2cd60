"""Distance of predicted from observed rates."""

import math

import numpy as np
import pytest

from keras_recs.metrics import expected_calibration_error
from keras_recs.metrics.expected_calibration_error import reliability_bins
from tests import numpy_reference


@pytest.mark.parametrize("num_bins", [1, 4, 20])
def test_values(num_bins):
    rng = np.random.default_rng(0)
    p = rng.uniform(size=80)
    y = (rng.uniform(size=80) < p).astype(int)
    expected = numpy_reference.expected_calibration_error(y, p, num_bins)
    assert expected_calibration_error(y, p, num_bins) == pytest.approx(expected)


def test_bins_hold_as_many_examples_each():
    """Click probabilities crowd near 0; bins of equal width would be one."""
    p = np.geomspace(1e-4, 1e-1, 100)
    predicted, observed, sizes = reliability_bins(np.zeros(100), p, 20)
    assert sizes.tolist() == [5] * 20
    assert (np.diff(predicted) > 0).all()
    assert (observed == 0).all()


def test_fewer_examples_than_bins():
    assert expected_calibration_error([1, 0], [0.9, 0.2]) == pytest.approx(
        (0.1 + 0.2) / 2
    )


def test_bins_of_unequal_size_weigh_their_examples():
    _, _, sizes = reliability_bins([0, 1, 1], [0.1, 0.2, 0.9], 2)
    assert sizes.tolist() == [2, 1]
    expected = (2 * abs(0.15 - 0.5) + abs(0.9 - 1)) / 3
    assert expected_calibration_error([0, 1, 1], [0.1, 0.2, 0.9], 2) == pytest.approx(
        expected
    )


def test_a_calibrated_constant_has_none():
    assert expected_calibration_error([1, 0, 0, 0], [0.25] * 4, 1) == 0.0
    assert math.isnan(expected_calibration_error([1, 0], [float("nan"), 0.5]))


def test_messages():
    with pytest.raises(ValueError, match="`y_true` must hold 0 and 1 only"):
        expected_calibration_error([3], [0.5])
