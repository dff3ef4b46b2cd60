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
