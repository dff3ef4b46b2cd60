"""What a run leaves behind, which epoch it keeps, and how it goes on."""

import csv
import shutil

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, NumericFeature, Schema
from keras_recs.data import array_dataset
from keras_recs.evaluation import evaluate
from keras_recs.losses import losses_of
from keras_recs.models import deepfm, logistic_regression
from keras_recs.models.find_vocabulary import find_vocabulary
from keras_recs.optimizers import CompositeOptimizer, SparseAdagrad
from keras_recs.training import EvictStaleKeys, fit
from tests import samples
from tests.numpy_reference import hash_key

SCHEMA = Schema(
    features=[
        CategoricalFeature("user", vocabulary_size=8),
        CategoricalFeature("item", vocabulary_size=8),
        NumericFeature("x"),
    ],
    labels=[Label("click")],
    group_key="user",
)
REGRESSION = Schema(features=SCHEMA.features, labels=[Label("y", task="regression")])


def columns(size, seed=0):
    """Clicks that depend on the item; a value to regress on."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, 8, size)
    data = {"user": rng.integers(0, 8, size), "item": item, "x": rng.normal(size=size)}
    data["click"] = rng.binomial(1, np.where(item < 4, 0.8, 0.2))
    data["y"] = item + rng.normal(size=size, scale=0.1)
    return data


@pytest.fixture(scope="module")
def train():
    return array_dataset(columns(128), SCHEMA, 32, shuffle=False)


@pytest.fixture(scope="module")
def valid():
    return array_dataset(columns(64, 1), SCHEMA, 64, shuffle=False, with_group=True)


def compiled(builder=logistic_regression, *arguments, eager=True, **options):
    """A model whose steps run without a graph, to trace which would take longer."""
    keras.utils.set_random_seed(0)
    model = builder(SCHEMA, *arguments, **options)
    optimizer = keras.optimizers.Adam(0.05)
    model.compile(optimizer, "binary_crossentropy", run_eagerly=eager)
    return model


def history_of(workdir):
    with open(workdir / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class Stop(keras.callbacks.Callback):
    """Interrupts the run at the second batch of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch == self.epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now and batch == 1:
            raise KeyboardInterrupt


class Spoil(keras.callbacks.Callback):
    """Turns all predictions round at the start of an epoch and of those after it."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.model.set_weights([-w for w in self.model.get_weights()])
            self.model.optimizer.learning_rate = 0.0


# === What a run leaves ===


def test_a_run_is_complete(tmp_path, click_schema):
    data = samples.click_columns(64)
    batches = array_dataset(data, click_schema, 32)
    check = array_dataset(data, click_schema, 64, shuffle=False, with_group=True)
    keras.utils.set_random_seed(0)
    model = logistic_regression(click_schema)
    model.compile("adam", {"click": "binary_crossentropy", "rating": "mse"})
    workdir = tmp_path / "a" / "run"
    history = fit(
        model, batches, click_schema, workdir, validation=check, epochs=2, verbose=0
    )

    assert names(workdir) == [
        "checkpoints",
        "history.csv",
        "model.keras",
        "schema.json",
        "tensorboard",
        "vocabularies",
    ]
    assert names(workdir / "vocabularies") == ["item.txt", "user.txt"]
    assert names(workdir / "checkpoints") == ["run.json"], "no backup is left"
    assert list((workdir / "tensorboard" / "train").iterdir())

    rows = history_of(workdir)
    assert [row.pop("epoch") for row in rows] == ["0", "1"]
    assert {
        name: [float(row[name]) for row in rows] for name in rows[0]
    } == history.history
    expected = {
        *(
            f"val_click_{m}"
            for m in (
                "auc",
                "gauc",
                "log_loss",
                "calibration_ratio",
                "expected_calibration_error",
            )
        ),
        "val_rating_mse",
        "val_rating_mae",
    }
    assert expected <= set(rows[0])

    # The folder stands for itself: it can move, and the data can go.
    moved = tmp_path / "moved"
    shutil.move(workdir, moved)
    schema = Schema.load(moved)
    assert schema.fingerprint() == click_schema.fingerprint()
    assert schema.vocabularies["user"].path == str(moved / "vocabularies" / "user.txt")
    loaded = keras.models.load_model(moved / "model.keras")
    (inputs, *_), *_ = array_dataset(data, schema, 64, shuffle=False)
    for name, values in loaded.predict_on_batch(inputs).items():
        np.testing.assert_array_equal(values, model.predict_on_batch(inputs)[name])


EXPIRING = Schema(
    features=[CategoricalFeature("user", max_keys=4, expire_after=2)],
    labels=[Label("click")],
)


def expiring_model(optimizer=None):
    """A model whose optimizer and batches see "a" in the first of three steps only."""
    model = deepfm(EXPIRING, embedding_dim=2, hidden_units=(2,))
    optimizer = optimizer or SparseAdagrad(0.5)
    model.compile(optimizer, "binary_crossentropy", run_eagerly=True)
    data = {"user": ["a", "b", "b", "c", "b", "d"], "click": [1, 0, 1, 0, 1, 0]}
    return model, array_dataset(data, EXPIRING, 2, shuffle=False)


def test_stale_keys_are_evicted_and_their_rows_are_fresh(tmp_path):
    model, batches = expiring_model()
    history = fit(model, batches, EXPIRING, tmp_path, verbose=0)
    assert history.history["evicted_keys"] == [1.0]
    assert history_of(tmp_path)[0]["evicted_keys"] == "1.0"
    keys, rows, _ = find_vocabulary(model, EXPIRING, "user").vocabulary()
    assert keys.tolist() == [hash_key(value) for value in "bcd"]
    assert rows.tolist() == [3, 4, 5], "row 2 was that of a"
    linear = model.get_layer("linear").weight_of_value
    assert linear.read_rows("user", [2]) == 0, "as its initializer makes it"
    assert (linear.read_rows("user", [3, 4, 5]) != 0).all()
    assert (abs(model.get_layer("embedding").read_rows("user", [2])) <= 0.05).all()
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert find_vocabulary(loaded, EXPIRING, "user").num_keys == 3


def test_a_part_without_slots_needs_no_reset(tmp_path):
    parts = CompositeOptimizer(
        SparseAdagrad(0.5), {"linear": keras.optimizers.SGD(0.1)}
    )
    model, batches = expiring_model(parts)
    history = fit(model, batches, EXPIRING, tmp_path, verbose=0)
    assert history.history["evicted_keys"] == [1.0]


def test_a_callback_of_ones_own_takes_the_place_of_the_eviction(tmp_path):
    model, batches = expiring_model()
    own = EvictStaleKeys("keys_user", [("embedding", "user")], every=9)
    history = fit(model, batches, EXPIRING, tmp_path, callbacks=[own], verbose=0)
    assert history.history["evicted_keys"] == [0.0]


def test_keys_that_expire_need_an_optimizer_that_can_reset_rows(tmp_path):
    model, batches = expiring_model("adam")
    with pytest.raises(ValueError, match=r"cannot reset the slots of rows.*Adam"):
        fit(model, batches, EXPIRING, tmp_path, verbose=0)
    parts = CompositeOptimizer(SparseAdagrad(0.5), {"linear": keras.optimizers.Adam()})
    model, batches = expiring_model(parts)
    with pytest.raises(
        ValueError, match=r"of 'linear/.*' cannot reset.*Received: Adam"
    ):
        fit(model, batches, EXPIRING, tmp_path / "parts", verbose=0)
    other = logistic_regression(SCHEMA)
    other.compile("sgd", "binary_crossentropy")
    with pytest.raises(ValueError, match="no DynamicVocabulary 'keys_user'"):
        fit(other, batches, EXPIRING, tmp_path / "other", verbose=0)
    assert not (tmp_path / "other").exists(), "said before anything is written"


def test_without_validation(train, tmp_path):
    history = fit(compiled(), train, SCHEMA, tmp_path, epochs=2, verbose=0)
    assert list(history.history) == ["loss"]
    assert names(tmp_path / "checkpoints") == ["run.json"]
    assert (tmp_path / "model.keras").exists()


def test_it_learns(train, valid, tmp_path):
    model = compiled(eager=False)
    history = fit(model, train, SCHEMA, tmp_path, validation=valid, epochs=8, verbose=0)
    auc = history.history["val_click_auc"]
    best = evaluate(keras.models.load_model(tmp_path / "model.keras"), valid, SCHEMA)
    assert best["click"]["auc"] == max(auc) > 0.75


def test_the_same_seed_gives_the_same_metrics(tmp_path):
    def run(name, seed):
        keras.utils.set_random_seed(seed)
        batches = array_dataset(columns(128), SCHEMA, 32, seed=seed)
        check = array_dataset(columns(64, 1), SCHEMA, 64, shuffle=False)
        model = deepfm(SCHEMA, 4, (8,), dropout=0.2)
        model.compile("adam", "binary_crossentropy", run_eagerly=True)
        return fit(
            model,
            batches,
            SCHEMA,
            tmp_path / name,
            validation=check,
            epochs=2,
            verbose=0,
        ).history

    assert run("a", 3) == run("b", 3)


def test_examples_of_weight_zero_do_not_count(tmp_path):
    schema = Schema(
        features=SCHEMA.features, labels=[Label("click", sample_weight="w")]
    )
    data = columns(64)
    data["w"] = np.arange(64) % 3 != 0
    other = {**data, "click": np.where(data["w"], data["click"], 1 - data["click"])}
    weights = []
    for name, part in (("a", data), ("b", other)):
        model = compiled()
        fit(model, array_dataset(part, schema, 32), schema, tmp_path / name, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights):
        np.testing.assert_array_equal(a, b)
    assert any((w != 0).any() for w in weights[0])


# === Which epoch is kept ===


def test_the_best_epoch_is_kept_and_patience_ends_the_run(train, valid, tmp_path):
    model = compiled()
    history = fit(
        model,
        train,
        SCHEMA,
        tmp_path,
        validation=valid,
        epochs=20,
        patience=2,
        callbacks=[Spoil(2)],
        verbose=0,
    ).history["val_click_auc"]
    assert min(history[:2]) > 0.6 > 0.4 > max(history[2:])
    assert len(history) == history.index(max(history)) + 1 + 2, (
        "best, and `patience` more"
    )
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for kept in (model, loaded):
        assert evaluate(kept, valid, SCHEMA)["click"]["auc"] == max(history)


def test_an_epoch_that_diverges_is_not_kept(train, tmp_path):

    class Diverge(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch != 1:
                self.model.set_weights([w * np.nan for w in self.model.get_weights()])
            else:
                self.model.set_weights(weights)

    turned = columns(64, 1)
    turned["click"] = 1 - turned["click"]
    check = array_dataset(turned, SCHEMA, 64, shuffle=False)
    model = compiled()
    model.compile("sgd", "binary_crossentropy")
    weights = model.get_weights()
    history = fit(
        model,
        train,
        SCHEMA,
        tmp_path,
        validation=check,
        epochs=3,
        patience=3,
        callbacks=[Diverge()],
        on_nonfinite="ignore",
        verbose=0,
    ).history
    auc = history["val_click_auc"]
    assert np.isnan(history["loss"]).tolist() == [True, False, True]
    assert np.isnan(auc).tolist() == [True, False, True]
    assert evaluate(model, check, SCHEMA)["click"]["auc"] == auc[1] < 0.5


@pytest.mark.parametrize("validated", [False, True])
def test_a_run_without_a_finite_loss_is_an_error(validated, train, valid, tmp_path):
    schema = Schema(features=SCHEMA.features, labels=[Label("click"), Label("y")])
    batches = array_dataset({**columns(64), "y": np.zeros(64)}, schema, 32)
    broken = batches.map(lambda x, y: (x, {**y, "y": y["y"] * np.nan}))
    model = logistic_regression(schema)
    model.compile("sgd", losses_of(schema))
    message = r"loss of \['y'\] was nan in epoch 0, .* lower `learning_rate`"
    with pytest.raises(ValueError, match=message):
        fit(
            model,
            broken,
            schema,
            tmp_path,
            validation=batches if validated else None,
            epochs=2,
            on_nonfinite="ignore",
            verbose=0,
        )
    assert not (tmp_path / "model.keras").exists()


def test_regression_keeps_the_least_error(tmp_path):
    batches = array_dataset(columns(128), REGRESSION, 32, shuffle=False)
    check = array_dataset(columns(64, 1), REGRESSION, 64, shuffle=False)
    model = logistic_regression(REGRESSION)
    model.compile(keras.optimizers.Adam(0.05), "mse", run_eagerly=True)
    history = fit(
        model,
        batches,
        REGRESSION,
        tmp_path,
        validation=check,
        epochs=4,
        callbacks=[Spoil(2)],
        verbose=0,
    ).history["val_y_mse"]
    assert history[1] < history[0] < history[2]
    assert evaluate(model, check, REGRESSION)["y"]["mse"] == history[1]


def test_watch_times_keep_the_best_order(tmp_path):
    schema = Schema(
        features=SCHEMA.features,
        labels=[Label("watch", task="watch_time")],
        group_key="user",
    )

    def batches(size, seed, **options):
        data = columns(size, seed)
        data["watch"] = data["click"] * (1 + data["item"])
        return array_dataset(data, schema, 64, shuffle=False, **options)

    check = batches(64, 1, with_group=True)
    model = logistic_regression(schema)
    model.compile(keras.optimizers.Adam(0.05), losses_of(schema))
    history = fit(
        model,
        batches(128, 0),
        schema,
        tmp_path,
        validation=check,
        epochs=4,
        callbacks=[Spoil(2)],
        verbose=0,
    ).history
    values = history["val_watch_watch_time_auc"]
    assert values[1] > values[2]
    kept = evaluate(model, check, schema)["watch"]
    assert kept["watch_time_auc"] == max(values)
    assert (
        kept["mispredicted_watch_time"] in history["val_watch_mispredicted_watch_time"]
    )


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [("val_y_watch_time_auc", "max"), ("val_y_mispredicted_watch_time", "min")],
)
def test_whether_more_is_better(monitor, mode):
    from keras_recs.training.monitored import direction_of

    assert direction_of(monitor) == mode


def test_another_metric_can_choose(train, valid, tmp_path):
    history = fit(
        compiled(),
        train,
        SCHEMA,
        tmp_path,
        validation=valid,
        epochs=3,
        monitor="loss",
        callbacks=[Spoil(1)],
        verbose=0,
    ).history
    assert history["loss"][0] == min(history["loss"])
    kept = keras.models.load_model(tmp_path / "model.keras")
    auc = evaluate(kept, valid, SCHEMA)["click"]["auc"]
    assert auc == history["val_click_auc"][0]


def test_messages(train, valid, tmp_path):
    message = r"`monitor` must be a metric of an epoch.*'{}'; there are .*val_click_auc"
    for monitor in ("val_buy_auc", "auc"):
        assert not (tmp_path / "history.csv").exists(), "known before the first epoch"
        with pytest.raises(ValueError, match=message.format(monitor)):
            fit(
                compiled(),
                train,
                SCHEMA,
                tmp_path,
                validation=valid,
                monitor=monitor,
                verbose=0,
            )
    with pytest.raises(
        ValueError, match=r"`monitor` needs `validation`.*'val_click_auc'"
    ):
        fit(compiled(), train, SCHEMA, tmp_path, monitor="val_click_auc")


# === Interruptions ===


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(train, valid, tmp_path):
    options = {"validation": valid, "epochs": 3, "verbose": 0}
    whole = compiled(deepfm, 4, (8,))
    fit(whole, train, SCHEMA, tmp_path / "whole", **options)

    workdir = tmp_path / "interrupted"
    with pytest.raises(KeyboardInterrupt):
        fit(
            compiled(deepfm, 4, (8,)),
            train,
            SCHEMA,
            workdir,
            callbacks=[Stop(1)],
            **options,
        )
    assert not (workdir / "model.keras").exists()
    assert len(history_of(workdir)) == 1
    keras.utils.set_random_seed(99)  # the weights come from the checkpoint
    resumed = deepfm(SCHEMA, 4, (8,))
    optimizer = keras.optimizers.Adam(0.05)
    resumed.compile(optimizer, "binary_crossentropy", run_eagerly=True)
    history = fit(resumed, train, SCHEMA, workdir, **options)

    assert history.epoch == [0, 1, 2]
    assert history_of(workdir) == history_of(tmp_path / "whole")
    for a, b in zip(resumed.get_weights(), whole.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert names(workdir / "checkpoints") == ["run.json"]


def test_a_worse_epoch_after_the_interruption_does_not_replace_the_best(
    train, valid, tmp_path
):
    options = {"validation": valid, "epochs": 4, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        fit(compiled(), train, SCHEMA, tmp_path, callbacks=[Stop(2)], **options)
    resumed = compiled()
    fit(resumed, train, SCHEMA, tmp_path, callbacks=[Spoil(2)], **options)
    auc = [float(row["val_click_auc"]) for row in history_of(tmp_path)]
    assert auc.index(max(auc)) == 0
    assert len(auc) == 1 + 2, "the epoch before the interruption counts for `patience`"
    assert auc[1] > auc[2]
    assert evaluate(resumed, valid, SCHEMA)["click"]["auc"] == max(auc)


def test_a_second_run_forgets_the_best_of_the_first(train, valid, tmp_path):
    options = {"validation": valid, "verbose": 0}
    first = fit(compiled(), train, SCHEMA, tmp_path, epochs=3, **options).history
    second = fit(
        compiled(deepfm, 4, (8,)),
        train,
        SCHEMA,
        tmp_path,
        callbacks=[Spoil(0)],
        **options,
    ).history
    assert max(second["val_click_auc"]) < max(first["val_click_auc"])
    assert len(history_of(tmp_path)) == 1
    kept = keras.models.load_model(tmp_path / "model.keras")
    assert evaluate(kept, valid, SCHEMA)["click"]["auc"] == second["val_click_auc"][0]


def test_an_interrupted_run_of_something_else_is_refused(train, tmp_path):
    options = {"schema": SCHEMA, "workdir": tmp_path, "epochs": 3, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        fit(compiled(), train, callbacks=[Stop(1)], **options)
    with pytest.raises(ValueError, match="interrupted run with another model, which"):
        fit(compiled(deepfm, 4, (8,)), train, **options)
    other = compiled()
    other.compile(keras.optimizers.Adam(0.5), "binary_crossentropy")
    with pytest.raises(ValueError, match="another optimizer"):
        fit(other, train, **options)
    with pytest.raises(ValueError, match="another number of steps"):
        fit(compiled(), train.take(1), **options)


def test_a_new_run_leaves_nothing_of_a_finished_one(train, tmp_path):
    (tmp_path / "plots").mkdir()
    for name in ("metrics.json", "plots/roc.png", "notes.txt"):
        (tmp_path / name).write_text("{}")
    fit(compiled(), train, SCHEMA, tmp_path, epochs=1, verbose=0)
    assert not {"metrics.json", "plots"} & set(names(tmp_path))
    assert "notes.txt" in names(tmp_path)


def test_monitor_knows_which_direction_is_better(train, valid, tmp_path):
    with pytest.raises(
        ValueError,
        match=r"better the higher or the lower.*'val_click_calibration_ratio'",
    ):
        fit(
            compiled(),
            train,
            SCHEMA,
            tmp_path,
            validation=valid,
            verbose=0,
            monitor="val_click_calibration_ratio",
        )
