"""What the tests of other libraries' formats share."""

import importlib.util

import numpy as np
import pytest

from tests import samples


def pytest_runtest_setup(item):
    """Tests marked `io` run where tensorflow-io is."""
    if item.get_closest_marker("io") and not importlib.util.find_spec("tensorflow_io"):
        pytest.skip("tensorflow-io is not installed: pip install 'keras-recs[io]'")


@pytest.fixture(scope="session")
def click_columns():
    return samples.click_columns(53)


@pytest.fixture(scope="session")
def assert_same_batches():
    """Function that compares two datasets batch by batch.

    Sets of a batch are as wide as its widest, of an array dataset as the widest of all.
    """

    def narrow(array, width):
        assert (array[:, width:] == 0).all()
        return array[:, :width]

    def compare(dataset, expected):
        assert dataset.cardinality() == expected.cardinality()
        batches, others = list(dataset), list(expected)
        assert len(batches) == len(others) == dataset.cardinality()
        for batch, other in zip(batches, others):
            assert len(batch) == len(other)
            for left, right in zip(batch, other):
                if not isinstance(left, dict):
                    left, right = {"group": left}, {"group": right}
                assert set(left) == set(right)
                for name in left:
                    a, b = left[name].numpy(), right[name].numpy()
                    assert a.dtype == b.dtype, name
                    if a.ndim == 2:
                        width = min(a.shape[1], b.shape[1])
                        a, b = narrow(a, width), narrow(b, width)
                    np.testing.assert_array_equal(a, b, name)

    return compare
