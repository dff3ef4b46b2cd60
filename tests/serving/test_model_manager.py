"""Versions come and go, with a loader that loads nothing."""

import threading
import time

import pytest
from grpc import StatusCode

from serving.errors import ServingError
from serving.model_config import ModelConfig
from serving.model_manager import ModelManager


class FakeServable:
    def __init__(self, name, version):
        self.name = name
        self.version = version
        self.closed = threading.Event()

    def close(self):
        self.closed.set()


class FakeLoader:
    """Loads every version that is not in `broken`."""

    def __init__(self):
        self.broken = {}
        self.calls = []

    def __call__(self, name, version, folder):
        self.calls.append(version)
        if version in self.broken:
            raise self.broken[version]
        return FakeServable(name, version)


@pytest.fixture
def loader():
    return FakeLoader()


@pytest.fixture
def manager(loader):
    manager = ModelManager(loader, max_load_retries=1, retry_interval=0.05)
    yield manager
    manager.close()


def add(folder, *versions):
    for version in versions:
        (folder / str(version)).mkdir(parents=True)


def states(manager, name="m"):
    return {s.version: s.state for s in manager.status(name)}


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, {10}),
        ({"num_latest": 2}, {10, 9}),
        ({"num_latest": 0}, {10, 9, 2}),
        ({"specific": frozenset({2, 9, 77})}, {2, 9}),
    ],
)
def test_version_policies(manager, tmp_path, policy, expected):
    add(tmp_path, 2, 9, 10)
    manager.configure([ModelConfig("m", str(tmp_path), **policy)])
    assert states(manager) == dict.fromkeys(expected, "AVAILABLE")
    with manager.lease("m") as servable:
        assert servable.version == max(expected)


def test_only_numeric_folders_are_versions(manager, loader, tmp_path):
    for name in ("tmp-3", "4.0", "-5", "x", str(2**63), "00007"):
        (tmp_path / name).mkdir()
    (tmp_path / "8").write_text("a file")
    manager.configure([ModelConfig("m", str(tmp_path))])
    assert loader.calls == [7]


def test_new_version_replaces_the_old_one(manager, tmp_path):
    add(tmp_path, 1)
    manager.configure([ModelConfig("m", str(tmp_path))])
    manager.start_watching(0.01)
    with manager.lease("m") as old:
        add(tmp_path, 2)
        wait_until(lambda: states(manager) == {1: "UNLOADING", 2: "AVAILABLE"})
        with manager.lease("m") as new:
            assert new.version == 2
        # A request still runs on it.
        assert not old.closed.wait(0.1)
    assert old.closed.wait(10)
    wait_until(lambda: states(manager) == {1: "END", 2: "AVAILABLE"})
    with pytest.raises(ServingError, match=r"Specific\(m, 1\)"), manager.lease("m", 1):
        pass


def test_version_that_fails_does_not_replace_one_that_works(manager, loader, tmp_path):
    add(tmp_path, 1)
    manager.configure([ModelConfig("m", str(tmp_path))])
    loader.broken[2] = ValueError("weights.index does not match")
    manager.start_watching(0.01)
    add(tmp_path, 2)
    # The first try and one retry.
    wait_until(lambda: loader.calls.count(2) == 2)
    wait_until(lambda: states(manager) == {1: "AVAILABLE", 2: "END"})
    status = manager.status("m", 2)[0]
    assert status.error.code == StatusCode.UNKNOWN
    assert status.error.message == "weights.index does not match"
    time.sleep(0.2)
    assert loader.calls.count(2) == 2
    # Gone and back again, it gets new tries.
    (tmp_path / "2").rmdir()
    loader.broken.clear()
    time.sleep(0.1)
    add(tmp_path, 2)
    wait_until(lambda: states(manager).get(2) == "AVAILABLE")


def test_removed_version_gives_way_to_the_one_before(manager, tmp_path):
    add(tmp_path, 1, 2)
    manager.configure([ModelConfig("m", str(tmp_path))])
    manager.start_watching(0.01)
    (tmp_path / "2").rmdir()
    wait_until(lambda: states(manager) == {1: "AVAILABLE", 2: "END"})


def test_missing_base_path_keeps_what_is_loaded(manager, tmp_path):
    add(tmp_path / "m", 1)
    manager.configure([ModelConfig("m", str(tmp_path / "m"))])
    manager.start_watching(0.01)
    (tmp_path / "m").rename(tmp_path / "away")
    time.sleep(0.1)
    assert states(manager) == {1: "AVAILABLE"}


def test_first_version_may_come_later(manager, tmp_path):
    manager.configure([ModelConfig("m", str(tmp_path))])
    manager.start_watching(0.01)
    with pytest.raises(ServingError, match=r"Latest\(m\)"), manager.lease("m"):
        pass
    with pytest.raises(ServingError, match="any versions of model m"):
        manager.status("m")
    add(tmp_path, 1)
    time.sleep(0.1)
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})


def test_model_that_cannot_be_loaded_is_an_error(manager, loader, tmp_path):
    add(tmp_path, 1)
    loader.broken[1] = ValueError("bad checksum of saved_model.pb")
    with pytest.raises(ServingError, match=r"m did not.*version 1: bad checksum"):
        manager.configure([ModelConfig("m", str(tmp_path))])


def test_configuration_replaces_all(manager, loader, tmp_path):
    add(tmp_path / "a", 1)
    add(tmp_path / "b", 1, 2)
    a = ModelConfig("a", str(tmp_path / "a"))
    manager.configure([a])
    manager.configure([a, ModelConfig("b", str(tmp_path / "b"), num_latest=2)])
    assert sorted(loader.calls) == [1, 1, 2]  # `a` was not loaded again
    with manager.lease("a") as servable:
        first = servable
    moved = ModelConfig("a", str(tmp_path / "b"), specific=frozenset({1}))
    manager.configure([moved])
    assert first.closed.wait(10)
    with manager.lease("a") as servable:
        assert servable is not first
    with pytest.raises(ServingError, match=r"Latest\(b\)"), manager.lease("b"):
        pass


def test_labels(manager, tmp_path):
    add(tmp_path, 1, 2)
    config = ModelConfig("m", str(tmp_path), num_latest=0, labels={"stable": 1})
    manager.configure([config])
    with manager.lease("m", label="stable") as servable:
        assert servable.version == 1
    with pytest.raises(ServingError, match="label: x"), manager.lease("m", label="x"):
        pass
    config = ModelConfig("m", str(tmp_path), num_latest=0, labels={"stable": 3})
    with pytest.raises(ServingError, match="not currently available for inference"):
        manager.configure([config])


def test_ended_versions_do_not_pile_up(manager, tmp_path):
    manager.configure([ModelConfig("m", str(tmp_path))])
    for version in range(1, 121):
        add(tmp_path, version)
        with manager._poll_lock:
            manager._poll()
    wait_until(lambda: list(states(manager).values()).count("UNLOADING") == 0)
    assert len(states(manager)) <= 101
    assert states(manager)[120] == "AVAILABLE"
