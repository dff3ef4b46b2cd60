"""The rate among all examples, from that among the kept ones."""

import math
from fractions import Fraction

import numpy as np
import pytest

from keras_recs.layers import DownSamplingCorrection


@pytest.mark.parametrize("rate", [1.0, 0.5, 0.1, 0.003])
def test_closed_form(rate):
    """Exact fractions, at the ends too."""
    p = np.array([0.0, 1e-30, 1e-7, 0.01, 0.5, 0.99, 1 - 2**-24, 1.0], "float32")
    expected = []
    for value in p.tolist():
        value = Fraction(value)
        expected.append(float(value / (value + (1 - value) / Fraction(rate))))
    outputs = DownSamplingCorrection(rate)(p[:, None]).numpy()[:, 0]
    np.testing.assert_allclose(outputs, expected, rtol=3e-7)


def test_it_adds_the_logarithm_to_the_logit():
    p = np.linspace(0.05, 0.95, 19)
    outputs = DownSamplingCorrection(0.2)(p).numpy()
    logits = [math.log(q / (1 - q)) for q in outputs.tolist()]
    expected = [math.log(x / (1 - x)) + math.log(0.2) for x in p.tolist()]
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_counts():
    """30 clicks to 10 kept others, which were 100: 30 of 130."""
    output = DownSamplingCorrection(0.1)(np.array([[30 / 40]]))
    np.testing.assert_allclose(output, [[30 / 130]], rtol=1e-6)


@pytest.mark.parametrize("rate", [0, 1.5])
def test_message(rate):
    with pytest.raises(
        ValueError, match=f"above 0 and at most 1. Received: rate={rate}"
    ):
        DownSamplingCorrection(rate)
