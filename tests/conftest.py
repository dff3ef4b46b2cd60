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

    Files whose tests start processes take longest, and half of that time these wait
    for one another: they are spread over the first three quarters, so that another
    pytest process is at files that compute, and the last files are short. The others
    are in the order of how many tests they have, most first.
    """
    if "large" not in (config.option.markexpr or ""):
        large = [item for item in items if item.get_closest_marker("large")]
        if large:
            config.hook.pytest_deselected(items=large)
            items[:] = [item for item in items if not item.get_closest_marker("large")]
    counts = collections.Counter(item.path for item in items)
    files = sorted(counts, key=lambda path: (-counts[path], path))
    waiting = {i.path for i in items if i.get_closest_marker("distributed")}
    others = [path for path in files if path not in waiting]
    places = {path: float(place) for place, path in enumerate(others)}
    apart = 0.75 * len(others) / max(len(waiting), 1)
    for number, path in enumerate(path for path in files if path in waiting):
        places[path] = number * apart - 0.5
    items.sort(key=lambda item: places[item.path])


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
