"""Settings and files that all tests share."""

import collections
import gc
import os
import sys

import pytest

# Before TensorFlow is imported: the numbers of a CPU on every machine, and no chatter.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def pytest_collection_modifyitems(config, items):
    """Leaves out what takes minutes unless `-m` asks for it.

    Files with tests that start processes come first: they take longest, and with
    several pytest processes the last file should be a short one. The others are in the
    order of how many tests they have.
    """
    slow = {i.path for i in items if i.get_closest_marker("distributed")}
    counts = collections.Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in slow, -counts[item.path], item.path))
    if "large" in (config.option.markexpr or ""):
        return
    large = [item for item in items if item.get_closest_marker("large")]
    if large:
        config.hook.pytest_deselected(items=large)
        items[:] = [item for item in items if item not in large]


def pytest_collection_finish():
    """What was imported stays: collections of garbage need not look at it again."""
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def what_stays():
    """Nor at what TensorFlow and Keras keep of the tests of a file."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded():
    """Seeds Keras, and leaves the global dtype policy as it was."""
    keras = sys.modules.get("keras")
    if keras is not None:
        keras.utils.set_random_seed(0)
    yield
    keras = sys.modules.get("keras")
    if keras is not None:
        keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def click_schema(tmp_path_factory):
    """The schema of `tests.samples`, fitted, with its vocabulary files."""
    from tests.samples import click_schema

    return click_schema(tmp_path_factory.mktemp("vocabularies"))
