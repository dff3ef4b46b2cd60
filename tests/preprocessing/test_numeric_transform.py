"""Numbers to the scale on which a network learns."""

import numpy as np
import pytest

from keras_recs.preprocessing import NumericTransform
from tests import numpy_reference

VALUES = [-np.inf, -100.0, -1.0, 0.0, 0.5, 1e6, np.inf, np.nan]


@pytest.mark.parametrize("log1p", [False, True])
@pytest.mark.parametrize("default", [None, -3.0])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (2.0, 0.5), (2.0, 0.0)])
def test_numbers(log1p, default, mean, std):
    layer = NumericTransform(log1p=log1p, mean=mean, std=std, default=default)
    expected = [numpy_reference.number(x, log1p, mean, std, default) for x in VALUES]
    np.testing.assert_allclose(layer(np.array(VALUES, "float32")), expected, rtol=1e-6)


QUANTILES = [
    (-2.0, 0.0, 0.5, 4.0),
    (0.0, 0.0, 0.0, 1.0, 1.0, 8.0, 9.0),  # values that are several quantiles
    (3.0, 3.0),
    tuple(np.sort(np.random.default_rng(0).normal(size=101)).astype("float32")),
]


@pytest.mark.parametrize("default", [None, 0.75])
@pytest.mark.parametrize("quantiles", QUANTILES, ids=len)
def test_quantiles(quantiles, default):
    x = [*VALUES, *quantiles, *np.linspace(-3, 10, 77)]
    layer = NumericTransform(quantiles=quantiles, default=default)
    x = np.array(x, "float32")
    expected = [numpy_reference.quantile_rank(v, quantiles, default) for v in x]
    found = layer(x).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.min() >= 0 and found.max() <= 1
    np.testing.assert_array_equal(layer(x[:, None]), found[:, None])


def test_quantiles_are_the_cumulative_distribution():
    """Uniform on the data that they were taken from."""
    x = np.sort(np.random.default_rng(0).lognormal(size=1001)).astype("float32")
    layer = NumericTransform(quantiles=x[::10])
    np.testing.assert_allclose(layer(x), np.arange(1001) / 1000, atol=0.01)


@pytest.mark.parametrize("quantiles", [(), (1.0,), (1.0, 0.0)])
def test_messages(quantiles):
    with pytest.raises(ValueError, match="`quantiles` must be two or more non-decr"):
        NumericTransform(quantiles=quantiles)


def test_the_logarithm_is_odd():
    x = np.array([0.1, 1.0, 1e6], "float32")
    layer = NumericTransform(log1p=True)
    np.testing.assert_array_equal(layer(-x), -layer(x).numpy())


def test_the_global_policy_does_not_round_numbers():
    import keras

    x = np.array([1.001, 16777.0], "float32")
    keras.config.set_dtype_policy("mixed_float16")
    values = NumericTransform()(x)
    assert values.dtype == "float32"
    np.testing.assert_array_equal(values, x)
