"""Names that are not known yet, as in Kubernetes before the others run."""

import json
import socket
import time
import types

import pytest

from keras_recs.training import cluster as module
from keras_recs.training import make_strategy
from keras_recs.training.cluster import Cluster

HOSTS = ("ctr-chief-0.recs.svc", "ctr-worker-0.recs.svc")


@pytest.fixture
def looked_up(monkeypatch):
    """What is looked up; a host of `unknown` fails as often as that says."""
    config = {
        "cluster": {"chief": [f"{HOSTS[0]}:2222"], "worker": [f"{HOSTS[1]}:2222"]},
        "task": {"type": "chief", "index": 0},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    calls, unknown = [], {}

    def getaddrinfo(host, port, *_):
        calls.append((host, port))
        unknown[host] = unknown.get(host, 0) - 1
        if unknown[host] >= 0:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return calls, unknown


def test_a_name_that_comes_later(looked_up):
    """It alone is asked for again."""
    calls, unknown = looked_up
    unknown[HOSTS[1]] = 2
    cluster = Cluster.from_environment(timeout_seconds=30)
    assert cluster.address == f"{HOSTS[0]}:2222"
    assert calls == [(host, 2222) for host in (*HOSTS, HOSTS[1], HOSTS[1])]


@pytest.mark.parametrize("seconds", [0.0, 0.3])
@pytest.mark.parametrize(
    "look_up",
    [
        Cluster.from_environment,
        lambda seconds: make_strategy("multi_worker_mirrored", seconds),
    ],
    ids=["from_environment", "make_strategy"],
)
def test_a_name_that_does_not_come_is_said(look_up, seconds, looked_up):
    _, unknown = looked_up
    unknown[HOSTS[1]] = 1_000_000
    started = time.monotonic()
    with pytest.raises(
        ValueError,
        match=rf"the host '{HOSTS[1]}' of worker 0 is unknown \(.*not known\)\. Mend",
    ):
        look_up(seconds)
    assert seconds <= time.monotonic() - started < seconds + 5


def test_who_is_awaited_is_told_after_ten_seconds(looked_up, monkeypatch, caplog):
    _, unknown = looked_up
    unknown[HOSTS[1]] = 45
    clock = [0.0]
    monkeypatch.setattr(
        module,
        "time",
        types.SimpleNamespace(
            monotonic=lambda: clock[0],
            sleep=lambda _: clock.__setitem__(0, clock[0] + 1),
        ),
    )
    Cluster.from_environment(timeout_seconds=300)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [f"Waiting for the names {HOSTS[1]} of worker 0."] * 2
