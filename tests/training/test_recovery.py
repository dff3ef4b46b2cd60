"""A run that dies goes on as if it had not: state, place in the data, checkpoints."""

import functools
import signal
import time

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, NumericFeature, Schema
from keras_recs.data import array_dataset, id_dropout
from keras_recs.models import deepfm
from keras_recs.optimizers import CompositeOptimizer, LazyAdam, RowwiseAdagrad
from keras_recs.training import EvictStaleKeys, fit
from keras_recs.training.checkpoints import Checkpoints
from keras_recs.training.recovery import Position, Recovery
from keras_recs.training.run_epochs import build
from keras_recs.training.workers import Workers
from tests.preloaded import Preloaded, run_preloaded
from tests.training.counting_run import (
    BATCH,
    ROWS,
    counting_model,
    counts_of,
    data,
)

SCHEMA = Schema(
    features=[CategoricalFeature("item", vocabulary_size=20), NumericFeature("x")],
    labels=[Label("click")],
)
SECONDS = 120  # a process that takes longer is ended


def columns(size, seed=0):
    rng = np.random.default_rng(seed)
    item = rng.integers(0, 20, size)
    click = rng.binomial(1, np.where(item < 10, 0.8, 0.2))
    return {"item": item, "x": rng.normal(size=size), "click": click}


def batches():
    made = array_dataset(columns(104), SCHEMA, 8, seed=3)
    return made.apply(id_dropout(SCHEMA, ["item"], rate=0.1, seed=1))


def model_with(optimizer, steps_per_execution=1):
    keras.utils.set_random_seed(1)
    model = deepfm(SCHEMA, 4, (8,), dropout=0.3, seed=2)
    model.compile(
        optimizer,
        "binary_crossentropy",
        metrics={"click": [keras.metrics.AUC(num_thresholds=5, name="auc")]},
        steps_per_execution=steps_per_execution,
    )
    return model


class StopAt(keras.callbacks.Callback):
    """Dies after a step."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.place = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            raise KeyboardInterrupt


class Seen(keras.callbacks.Callback):
    """Which batches of which epoch were trained."""

    def __init__(self):
        super().__init__()
        self.places = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.places.append((self.epoch, batch))


def run(workdir, optimizer, callbacks=(), train=None, at_once=1, **options):
    model = model_with(optimizer(), at_once)
    options = {"epochs": 3, "verbose": 0, "checkpoint_steps": 3, **options}
    history = fit(
        model,
        batches() if train is None else train,
        SCHEMA,
        workdir,
        validation=array_dataset(columns(40, 1), SCHEMA, 40, shuffle=False),
        patience=5,
        callbacks=[keras.callbacks.ReduceLROnPlateau("loss", patience=1), *callbacks],
        **options,
    )
    return model, history


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.05),
    "lazy_adam": lambda: LazyAdam(0.05),
    "composite": lambda: CompositeOptimizer(
        RowwiseAdagrad(0.1), {"deep": keras.optimizers.SGD(0.01, momentum=0.9)}
    ),
}


@pytest.mark.parametrize(
    ("optimizer", "place"),
    [
        ("adam", (0, 4)),
        ("lazy_adam", (2, 0)),
        ("composite", (1, 11)),
        *(
            pytest.param(optimizer, place, marks=pytest.mark.large)
            for optimizer in OPTIMIZERS
            for place in [(0, 4), (1, 11), (2, 0)]
        ),
    ],
    ids=str,
)
def test_it_goes_on_at_the_very_batch(optimizer, place, tmp_path):
    """Bit by bit: weights, slots, metrics of every epoch, dropout, learning rate."""
    make = OPTIMIZERS[optimizer]
    whole, expected = run(tmp_path / "whole", make)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", make, [StopAt(*place)])
    seen = Seen()
    resumed, history = run(tmp_path / "run", make, [seen])
    assert_same_run((resumed, history), (whole, expected))
    assert history.epoch == [0, 1, 2]
    # Steps are saved by threes: it begins no more than three before where it stopped.
    steps = [13 * epoch + batch for epoch, batch in seen.places]
    stopped = 13 * place[0] + place[1]
    assert stopped - 2 <= steps[0] <= stopped + 1
    assert steps == list(range(steps[0], 39)), "each once"
    assert expected.history["learning_rate"][0] == pytest.approx(
        float(make().learning_rate)
    )


def assert_same_run(run_and_history, expected):
    (mine, history), (other, expected_history) = run_and_history, expected
    assert history.history == expected_history.history
    for a, b in zip(
        [*mine.variables, *mine.optimizer.variables],
        [*other.variables, *other.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(a, b, err_msg=b.path)


def test_several_steps_an_execution(tmp_path):
    """13 steps by fours; saved after four, whose last ones are one."""
    options = {"at_once": 4, "checkpoint_steps": 4}
    make = OPTIMIZERS["adam"]
    whole = run(tmp_path / "whole", make, **options)
    for place in ((0, 12), (1, 7)):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "run", make, [StopAt(*place)], **options)
    seen = Seen()
    resumed = run(tmp_path / "run", make, [seen], **options)
    assert seen.places == [(1, 7), (1, 11), (1, 12)] + [(2, n) for n in (3, 7, 11, 12)]
    assert_same_run(resumed, whole)


REPLICAS = """
import sys
from pathlib import Path
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_recs.training import make_strategy
from tests.training.test_recovery import OPTIMIZERS, StopAt, assert_same_run, run

folder, make = Path(sys.argv[1]), OPTIMIZERS["composite"]
with make_strategy("mirrored").scope():
    whole = run(folder / "whole", make)
    try:
        run(folder / "run", make, [StopAt(1, 7)])
    except KeyboardInterrupt:
        assert_same_run(run(folder / "run", make), whole)
    else:
        sys.exit("not interrupted")
"""


@pytest.mark.large
@pytest.mark.distributed
def test_replicas_go_on_too(tmp_path):
    run_preloaded("-c", REPLICAS, tmp_path)


def test_every_example_counts_once_an_epoch(tmp_path):
    """Killed at any moment, by the system; the last process finishes."""
    workdir = tmp_path / "run"
    program = ("-m", "tests.training.counting_run", workdir, 2, 5, 0.02)
    for steps, number in ((7, signal.SIGKILL), (17, signal.SIGTERM)):
        process = Preloaded(*program, TF_CPP_MIN_LOG_LEVEL="3")
        try:
            deadline = time.monotonic() + SECONDS
            while process.said().count("step\n") < steps:
                assert time.monotonic() < deadline, process.said()
                time.sleep(0.005)
            process.send_signal(number)
            status = process.wait(SECONDS)
        finally:
            process.close()
        expected = -number if number == signal.SIGKILL else 128 + number
        assert status == expected
        assert not (workdir / "model.keras").exists()
        assert Checkpoints(workdir / "checkpoints").exists()
    schema, train = data()
    seen = Seen()
    model = counting_model(schema)
    fit(model, train, schema, workdir, epochs=2, callbacks=[seen], verbose=0)
    # SIGKILL after 7 steps leaves the checkpoint of 5; SIGTERM saves where it is.
    assert 0 < seen.places[0][0] * ROWS // BATCH + seen.places[0][1] >= 22
    np.testing.assert_array_equal(counts_of(model), np.full(ROWS, 2.0))


def test_steps_between_checkpoints_are_counted_over_epochs(tmp_path):
    """An epoch of fewer steps than that leaves checkpoints too."""
    found = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            found.append(Checkpoints(tmp_path / "run" / "checkpoints").exists())

    schema, train = data()
    model = counting_model(schema)
    steps = {"checkpoint_steps": int(train.cardinality()) * 2}
    calls = [Look()]
    fit(model, train, schema, tmp_path / "run", epochs=4, callbacks=calls, **steps)
    assert found[:2] == [False, False] and found[3]


def test_keys_are_evicted_at_the_same_steps(tmp_path):
    """A callback that counts steps, which an epoch begins anew."""
    schema = Schema(
        features=[CategoricalFeature("user", max_keys=6, expire_after=3)],
        labels=[Label("click")],
    )
    data = {"user": [f"u{n % 17 % 5}" for n in range(52)], "click": [0, 1] * 26}

    def run_expiring(name, *callbacks):
        keras.utils.set_random_seed(0)
        model = deepfm(schema, embedding_dim=2, hidden_units=(2,))
        model.compile(RowwiseAdagrad(0.3), "binary_crossentropy")
        evict = EvictStaleKeys("keys_user", [("embedding", "user")], every=4)
        history = fit(
            model,
            array_dataset(data, schema, 4, seed=1),
            schema,
            tmp_path / name,
            epochs=2,
            callbacks=[evict, *callbacks],
            checkpoint_steps=3,
            verbose=0,
        )
        return model, history

    whole = run_expiring("whole")
    assert sum(whole[1].history["evicted_keys"]) > 0
    with pytest.raises(KeyboardInterrupt):
        run_expiring("run", StopAt(1, 7))
    assert_same_run(run_expiring("run"), whole)


# === What cannot go on ===


def interrupted(workdir, **options):
    make = OPTIMIZERS["adam"]
    with pytest.raises(KeyboardInterrupt):
        run(workdir, make, [StopAt(1, 6)], **options)
    return make


def test_other_data_is_refused(tmp_path):
    make = interrupted(tmp_path)
    other = array_dataset(columns(104), SCHEMA, 8, seed=4)
    with pytest.raises(ValueError, match=r"first batch was another one.*`seed`"):
        run(tmp_path, make, train=other)


def test_other_callbacks_are_refused(tmp_path):
    make = interrupted(tmp_path)
    more = keras.callbacks.EarlyStopping("loss")
    with pytest.raises(ValueError, match=r"had other callbacks.*EarlyStopping"):
        run(tmp_path, make, [more])


def test_steps_that_were_left_out_stay_counted(tmp_path):
    data = columns(104)
    data["x"] = np.where(np.arange(len(data["x"])) == 17, 1e30, data["x"])
    options = {
        "train": array_dataset(data, SCHEMA, 16, shuffle=False),
        "on_nonfinite": "skip",
        "epochs": 1,
    }
    make = OPTIMIZERS["adam"]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, make, [StopAt(0, 4)], **options)
    _, history = run(tmp_path, make, **options)
    assert history.history["skipped_steps"] == [1]


def test_no_worker_writes_before_all_have_their_last(tmp_path):
    """Else one removes what is the newest of another one's slower disk."""

    class Pair(Workers):
        def __init__(self):
            self.num_workers, self.index, self.busy = 1, 0, []

        def barrier(self):
            self.busy.append(recovery.checkpoints.is_busy)

    pair = Pair()
    recovery = Recovery(tmp_path, pair, every_steps=1)
    model = model_with(keras.optimizers.SGD())
    build(model, batches())
    recovery.begin(model, [], batches())
    slow = recovery.checkpoints._write_one

    def write_one(*arguments):
        time.sleep(0.2)
        slow(*arguments)

    recovery.checkpoints._write_one = write_one
    for step in (1, 2, 3):
        recovery.save(Position(0, step))
    recovery.checkpoints.wait()
    assert pair.busy == [False] * 3


def test_what_one_worker_lost_is_no_new_beginning(tmp_path):
    class Pair(Workers):
        def __init__(self):
            self.num_workers, self.index = 1, 0

        def gather(self, value):
            return [value, 0]

    def begin():
        recovery = Recovery(tmp_path, Pair(), every_steps=1)
        return recovery, recovery.begin(model, [], batches())

    model = model_with(keras.optimizers.SGD())
    build(model, batches())
    for step, message in [(1, None), (2, "Of the workers .1. the checkpoints are")]:
        recovery, position = begin()
        assert position == Position()
        for number in range(1, 1 + step):
            recovery.save(Position(0, number))
        recovery.checkpoints.wait()
        if message:
            with pytest.raises(ValueError, match=message):
                begin()


def test_unknown_length_and_wrong_intervals(tmp_path):
    make = OPTIMIZERS["adam"]
    endless = batches().repeat()
    with pytest.raises(ValueError, match=r"number of batches is known.*assert_card"):
        run(tmp_path, make, train=endless)
    with pytest.raises(ValueError, match=r"`checkpoint_steps` .*checkpoint_steps=0"):
        run(tmp_path, make, checkpoint_steps=0)
    with pytest.raises(ValueError, match=r"`checkpoint_seconds` must be above 0"):
        run(tmp_path, make, checkpoint_seconds=0.0)


# === Checkpoints ===


def arrays(value):
    return {"a": np.full((3, 4), value, "float32"), "b": np.array(value)}


def written(folder, values, **options):
    checkpoints = Checkpoints(folder, **options)
    for value in values:
        checkpoints.save(functools.partial(arrays, value), {"value": value})
        checkpoints.wait()
    return checkpoints


def test_the_newest_are_kept(tmp_path):
    checkpoints = written(tmp_path / "new", range(5), keep=2)
    files = sorted(p.name for p in (tmp_path / "new").iterdir())
    assert [name[:15] for name in files] == ["state-00000004-", "state-00000005-"]
    assert checkpoints.newest() == 5
    found, about = checkpoints.read(5)
    assert about == {"value": 4}
    np.testing.assert_array_equal(found["a"], arrays(4)["a"])
    assert found["a"].dtype == np.float32
    _, about = checkpoints.read(4)
    assert about == {"value": 3}
    assert checkpoints.newest() == 4, "what came after it is gone"
    with pytest.raises(ValueError, match="no whole checkpoint 5"):
        checkpoints.read(5)
    checkpoints.clear()
    assert checkpoints.newest() == 0
    assert not checkpoints.exists()


def test_a_damaged_one_is_passed_over(tmp_path, caplog):
    """At every eighth byte: a bit that flips, or an end that is missing."""
    checkpoints = written(tmp_path, range(2))
    _, path = sorted(tmp_path.iterdir())
    whole = path.read_bytes()
    for place in range(0, len(whole), 8):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 7
        for damaged in (bytes(flipped), whole[:place]):
            path.write_bytes(damaged)
            caplog.clear()
            assert checkpoints.newest() == 1
            assert f"'{path}' is damaged (its checksum is" in caplog.text


def test_what_was_never_finished_is_swept_away(tmp_path):
    (tmp_path / ".state-00000003.77.part").write_bytes(b"half")
    checkpoints = written(tmp_path, [1])
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("state-00000001-")
    assert checkpoints.read(1)[1] == {"value": 1}


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    checkpoints = Checkpoints(tmp_path / "file")
    checkpoints.save(lambda: arrays(0), {})
    with pytest.raises(OSError, match="No checkpoint could be written to"):
        checkpoints.wait()
    with pytest.raises(ValueError, match=r"`keep` .*keep=0"):
        Checkpoints(tmp_path, keep=0)
