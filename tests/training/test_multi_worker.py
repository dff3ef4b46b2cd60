"""Several workers train one model: the same weights on all, and what one can lose."""

import contextlib
import json
import socket

import keras
import numpy as np
import pytest

from keras_recs.data import array_dataset
from keras_recs.models import deepfm
from pipelines.free_ports import free_ports
from tests.preloaded import Preloaded
from tests.training.test_recovery import SCHEMA, columns

pytestmark = pytest.mark.distributed
PROGRAM = "tests.training.worker_run"
SECONDS = 100  # after which a process is ended


@contextlib.contextmanager
def cluster_of(folder, *options, count=2, absent=()):
    """Starts workers, and ends them by their own ids."""
    folder.mkdir(exist_ok=True)
    hosts = [f"127.0.0.1:{port}" for port in free_ports(count)]
    processes = []
    try:
        for index in range(count):
            if index in absent:
                continue
            task = {"type": "worker", "index": index}
            config = {"cluster": {"worker": hosts}, "task": task}
            processes.append(
                Preloaded(
                    *("-m", PROGRAM, folder, *options),
                    TF_CONFIG=json.dumps(config),
                    TF_CPP_MIN_LOG_LEVEL="3",
                )
            )
        yield processes
    finally:
        for process in processes:
            process.close()


def finish(processes):
    """What each process said, and how it ended."""
    status = [process.wait(SECONDS) for process in processes]
    return [process.said() for process in processes], status


def results(folder, count=2):
    """Weights and histories of all workers."""
    weights = []
    for index in range(count):
        with np.load(folder / f"{index}.npz") as stored:
            weights.append([stored[name] for name in stored.files])
    histories = [
        json.loads((folder / f"{index}.json").read_text()) for index in range(count)
    ]
    return weights, histories


def trained(folder, *options):
    with cluster_of(folder, *options) as processes:
        said, status = finish(processes)
    assert status == [0, 0], "\n".join(said)
    return results(folder)


def assert_equal(some, others):
    for a, b in zip(some, others, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.smoke
def test_two_workers_train_as_one_machine(tmp_path):
    """Steps of SGD on batches whose halves are those of the two workers."""
    (one, two), (history, other) = trained(tmp_path, "optimizer=sgd", "devices=2")
    assert_equal(one, two)
    assert history == other
    whole = columns(128)
    keras.utils.set_random_seed(1)
    model = deepfm(SCHEMA, 4, (8,))
    metrics = {"click": [keras.metrics.AUC(num_thresholds=9, name="auc")]}
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", metrics=metrics)
    order = np.concatenate([np.r_[s : s + 32, 64 + s : 96 + s] for s in (0, 32)])
    mixed = {name: values[order] for name, values in whole.items()}
    data = array_dataset(mixed, SCHEMA, 64, shuffle=False)
    expected = model.fit(data, epochs=2, shuffle=False, verbose=0).history
    for a, b in zip(one, model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-4)
    np.testing.assert_allclose(history["auc"], expected["auc"], rtol=1e-4)
    run = tmp_path / "run"
    assert (run / "model.keras").exists()
    assert (run / "history.csv").exists()
    assert not list((run / "workers").iterdir()), "the others leave nothing"


# The second trains empty batches at the end, of which statistics would be NaN.
UNEVEN = ("sizes=100,40", "batch_norm=1")


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Weights and histories of two workers with seven batches and three."""
    return trained(tmp_path_factory.mktemp("uneven"), *UNEVEN)


def test_uneven_parts(uneven):
    """All are trained, and nobody waits for ever."""
    (one, two), (history, other) = uneven
    assert_equal(one, two)
    assert history == other
    assert all(np.isfinite(w).all() for w in one)


def test_where_one_stops_all_do(tmp_path):
    """In its first epoch of two; nobody waits for it."""
    (one, two), (history, other) = trained(tmp_path, "stop=1,3")
    assert_equal(one, two)
    assert history == other
    assert len(history["loss"]) == 1


@pytest.mark.parametrize(
    "number", ["SIGKILL", pytest.param("SIGTERM", marks=pytest.mark.large)]
)
def test_a_worker_that_dies_costs_nothing(number, uneven, tmp_path):
    options = UNEVEN
    (expected, _), (expected_history, _) = uneven
    folder = tmp_path / "again"
    with cluster_of(folder, *options, "die=1,5", f"by={number}") as processes:
        first, second = processes
        assert second.wait(SECONDS) == (-9 if number == "SIGKILL" else 143)
        if number == "SIGTERM":
            assert first.wait(SECONDS) == 143, "all save and leave"
    (one, two), (history, _) = trained(folder, *options)
    assert_equal(one, two)
    assert_equal(one, expected)
    assert history == expected_history


@pytest.mark.large
def test_a_checkpoint_that_one_worker_lacks(uneven, tmp_path):
    """One died while it wrote its first: all begin anew."""
    with cluster_of(tmp_path, *UNEVEN, "die=1,3") as processes:
        assert processes[1].wait(SECONDS) == -9
    others = tmp_path / "run" / "workers" / "1" / "checkpoints"
    for path in others.glob("state-*"):
        path.unlink()
    assert list((tmp_path / "run" / "checkpoints").glob("state-*")), "the chief has one"
    (one, two), (history, _) = trained(tmp_path, *UNEVEN)
    (expected, _), (expected_history, _) = uneven
    assert_equal(one, two)
    assert_equal(one, expected)
    assert history == expected_history


@pytest.mark.large
def test_checkpoints_that_one_worker_lost(tmp_path):
    """They do not begin anew; `test_recovery` has the same without processes."""
    with cluster_of(tmp_path, "sizes=160,160", "die=1,9") as processes:
        assert processes[1].wait(SECONDS) == -9
    others = tmp_path / "run" / "workers" / "1" / "checkpoints"
    for path in others.glob("state-*"):
        path.unlink()
    with cluster_of(tmp_path, "sizes=160,160") as processes:
        said, status = finish(processes)
    assert 0 not in status
    assert "Of the workers [1] the checkpoints are gone" in said[0]


def test_what_one_cannot_train_stops_all(tmp_path):
    with cluster_of(tmp_path, "damage=1") as processes:
        said, status = finish(processes)
    assert 0 not in status
    assert "feature 'x' is 1e+30 in row 8 of the batch" in said[1]
    assert "the gradients of another worker are not finite" in said[0]


def test_a_worker_that_does_not_come_is_named(tmp_path):
    from keras_recs.training.await_cluster import await_cluster
    from keras_recs.training.cluster import Cluster

    mine, other = (f"127.0.0.1:{port}" for port in free_ports(2))
    cluster = Cluster({"worker": (mine, other)}, "worker", 0)
    with pytest.raises(TimeoutError, match=f"not there: worker 1 at {other}"):
        await_cluster(cluster, 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        cluster = Cluster({"worker": (address, other)}, "worker", 0)
        with pytest.raises(ValueError, match=f"'{address}', where it cannot listen"):
            await_cluster(cluster, 0.5)


# === TF_CONFIG ===

TWO = {"worker": ["127.0.0.1:1111", "127.0.0.1:2222"]}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "TF_CONFIG must describe the cluster.*It is not set"),
        ("{'cluster'", "TF_CONFIG must be JSON.*Received"),
        ("[]", 'must be an object with "cluster" and "task"'),
        ({"cluster": {"master": ["a:1"]}}, "\"cluster\" may have.*'master'"),
        ({"cluster": {"worker": []}}, '"worker" must be a list of "host:port"'),
        ({"cluster": {"worker": ["localhost"]}}, "host:port.*'localhost'"),
        ({"cluster": {"worker": ["a:99999"]}}, "host:port.*'a:99999'"),
        ({"cluster": {"worker": ["a:1", "a:1"]}}, r"an address of its own.*\['a:1'\]"),
        ({"cluster": TWO}, '"task" must be {"type"'),
        ({"cluster": TWO, "task": {"type": "ps"}}, r"type in \['worker'\].*'ps'"),
        ({"cluster": TWO, "task": {"type": "worker", "index": 2}}, r"0 … 1.*2"),
        (
            {
                "cluster": {"worker": ["no-such-host.invalid:1"]},
                "task": {"type": "worker", "index": 0},
            },
            "the host 'no-such-host.invalid' of worker 0 is unknown",
        ),
        (
            {
                "cluster": {**TWO, "ps": ["127.0.0.1:3333"]},
                "task": {"type": "worker", "index": 0},
            },
            "'multi_worker_mirrored' has workers.*'ps'",
        ),
    ],
    ids=str,
)
def test_a_wrong_cluster_is_said_before_anything_starts(config, message, monkeypatch):
    from keras_recs.training import make_strategy

    if config is None:
        monkeypatch.delenv("TF_CONFIG", raising=False)
    else:
        text = config if isinstance(config, str) else json.dumps(config)
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=message):
        make_strategy("multi_worker_mirrored", timeout_seconds=0.5)
