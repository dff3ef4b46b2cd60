"""Searches on a tiny log: early stopping, failures, going on, Hyperband."""

import json

import keras
import keras_tuner
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, Schema, tuning
from keras_recs.data import array_dataset
from keras_recs.evaluation import evaluate
from keras_recs.models import logistic_regression
from tests.preloaded import run_preloaded

SCHEMA = Schema(
    features=[CategoricalFeature("item", vocabulary_size=8)], labels=[Label("click")]
)
RATES = {"learning_rate": [0.001, 0.01, 0.1, 0.5]}


def columns(size, seed=0):
    """Clicks that depend on the item."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, 8, size)
    return {"item": item, "click": rng.binomial(1, np.where(item < 4, 0.8, 0.2))}


@pytest.fixture(scope="module")
def train():
    return array_dataset(columns(128), SCHEMA, 32, shuffle=False)


@pytest.fixture(scope="module")
def valid():
    return array_dataset(columns(64, 1), SCHEMA, 64, shuffle=False)


def hypermodel(**options):
    options = {"space": RATES, "arguments": {"kernel_regularizer": None}, **options}
    return tuning.build_hypermodel(SCHEMA, "logistic_regression", seed=0, **options)


def made(folder, model=None, name="random", **options):
    options = {"max_trials": 3, "max_epochs": 3, **options}
    return tuning.make_tuner(name, model or hypermodel(), folder, **options)


def breaking(schema, kernel_regularizer=None, broken=0):
    """Fails for what is drawn; Keras Tuner also builds the first value, at the start."""
    if broken > 1:
        raise ArithmeticError(f"no model with {broken}")
    return logistic_regression(schema, kernel_regularizer)


def broken_model(values):
    return tuning.build_hypermodel(
        SCHEMA,
        breaking,
        space={"broken": values, "learning_rate": 0.01, "kernel_regularizer": [0.0]},
    )


# === Trials ===


def test_trials_are_scored_by_their_best_epoch_and_restored_to_it(
    train, valid, tmp_path
):
    """The learning rate turns the model round; the best epoch comes before that."""

    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                self.model.set_weights([-w for w in self.model.get_weights()])
                self.model.optimizer.learning_rate = 0.0

    model = hypermodel(patience=2)
    hp = keras_tuner.HyperParameters()
    built = model.build(hp)
    metrics = model.fit(
        hp, built, train, valid, callbacks=[Spoil()], epochs=20, verbose=0
    )
    execution = model.executions[0]
    assert execution["epochs"] == execution["best_epoch"] + 1 + 2 < 20
    assert execution["best_epoch"] < 2
    measured = evaluate(built, valid, SCHEMA)["click"]
    assert measured["auc"] == metrics["val_click_auc"] == execution["score"]
    assert measured["log_loss"] == pytest.approx(metrics["val_click_log_loss"])


@pytest.mark.parametrize("name", ["random", "bayesian"])
def test_a_search_finds_its_best_and_writes_it_as_a_run(name, train, valid, tmp_path):
    tuner = made(tmp_path, name=name)
    trials = tuning.search(tuner, train, valid, epochs=3, verbose=0)
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 3
    assert len({trial["values"]["learning_rate"] for trial in trials}) == 3
    assert all(1 <= trial["epochs"] <= 3 and trial["seconds"] > 0 for trial in trials)

    best = tuning.write_best(tuner, tmp_path / "best")
    assert best["score"] == max(trial["score"] for trial in trials)
    assert best["training"] == best["values"]
    names = {path.name for path in (tmp_path / "best").iterdir()}
    assert names == {"history.csv", "model.keras", "schema.json"}
    model = keras.models.load_model(tmp_path / "best" / "model.keras")
    assert evaluate(model, valid, SCHEMA)["click"]["auc"] == best["score"]


def test_the_direction_of_the_objective(train, valid, tmp_path):
    model = hypermodel(objective="val_click_log_loss")
    assert model.objective.direction == "min"
    assert hypermodel().objective.name == "val_click_auc"
    assert hypermodel().objective.direction == "max"
    trials = tuning.search(made(tmp_path, model), train, valid, epochs=2, verbose=0)
    best = tuning.write_best(made(tmp_path, model), tmp_path / "best")
    assert best["score"] == min(trial["score"] for trial in trials)
    with pytest.raises(ValueError, match="better the higher or the lower"):
        hypermodel(objective="val_click_calibration_ratio")


def test_any_tuner_and_its_own_search(train, valid, tmp_path):
    model = hypermodel()
    tuner = keras_tuner.GridSearch(model, model.objective, directory=str(tmp_path))
    tuner.search(train, validation=valid, epochs=1, verbose=0)
    assert len(tuner.oracle.trials) == 4
    assert isinstance(tuner.get_best_models()[0], keras.Model)


def test_executions_start_apart_and_the_best_is_kept(train, valid, tmp_path):
    space = {"embedding_dim": 2, "hidden_units": [(4,)]}
    model = tuning.build_hypermodel(SCHEMA, "deepfm", seed=0, space=space)
    tuner = made(tmp_path, model)
    tuner.executions_per_trial = 3
    tuner.oracle.max_trials = 1
    (trial,) = tuning.search(tuner, train, valid, epochs=1, verbose=0)
    scores = [e["score"] for e in tuner.hypermodel.executions]
    assert len(set(scores)) == 3, "another seed each"
    assert trial["score"] == pytest.approx(np.mean(scores))
    assert trial["best_execution"] == int(np.argmax(scores))
    tuning.write_best(tuner, tmp_path / "best")
    model = keras.models.load_model(tmp_path / "best" / "model.keras")
    assert evaluate(model, valid, SCHEMA)["click"]["auc"] == max(scores)


def test_batch_size_is_searched_where_it_can_be(valid, train, tmp_path):
    model = hypermodel(space={**RATES, "batch_size": [16, 64]})
    sizes = []

    def batches(size):
        sizes.append(size)
        return array_dataset(columns(128), SCHEMA, size)

    trials = tuning.search(made(tmp_path / "a", model), batches, valid, epochs=1)
    assert sizes == [trial["values"]["batch_size"] for trial in trials]
    with pytest.raises(ValueError, match="`train` as a function from batch size"):
        tuning.search(made(tmp_path / "b", model), train, valid)


# === Failures ===


def test_a_failed_trial_is_reported(train, valid, tmp_path, caplog):
    tuner = made(tmp_path, broken_model([1, 2]), max_trials=2)
    trials = tuning.search(tuner, train, valid, epochs=1, verbose=0)
    by_status = {trial["status"]: trial for trial in trials}
    assert set(by_status) == {"COMPLETED", "FAILED"}
    failed = by_status["FAILED"]
    assert failed["error"] == "ArithmeticError: no model with 2"
    assert failed["values"]["broken"] == 2
    assert failed["score"] is None
    assert "no model with 2; {'" in caplog.text
    tuning.write_trials(trials, tmp_path)
    assert "ArithmeticError: no model with 2" in (tmp_path / "trials.csv").read_text()


def test_a_search_in_which_nothing_completed_raises(train, valid, tmp_path):
    tuner = made(
        tmp_path / "few", broken_model({"low": 1.0, "high": 2.0}), max_trials=2
    )
    message = r"None of 2 trials completed:\n  trial \d: ArithmeticError: no model with"
    with pytest.raises(RuntimeError, match=message):
        tuning.search(tuner, train, valid, epochs=1, verbose=0)
    with pytest.raises(ValueError, match="No trial completed"):
        tuning.write_best(tuner, tmp_path / "best")
    tuner = made(
        tmp_path / "many", broken_model({"low": 1.0, "high": 2.0}), max_trials=4
    )
    with pytest.raises(RuntimeError, match="failed one after the other:\n  trial 0"):
        tuning.search(tuner, train, valid, epochs=1, verbose=0)
    statuses = [t["status"] for t in tuning.read_trials(tuner.project_dir)]
    assert statuses == ["FAILED"] * 3


def test_what_would_fail_every_trial_ends_the_search(
    train, valid, tmp_path, monkeypatch
):
    message = r"`objective` must be a metric of an epoch"
    with pytest.raises(ValueError, match=message):
        hypermodel(objective="val_click_gauc")
    tuner = made(tmp_path / "a", hypermodel(objective="click_gauc"))
    with pytest.raises(ValueError, match=message):
        tuning.search(tuner, train, valid)
    with pytest.raises(ValueError, match="needs `validation` batches"):
        tuning.search(made(tmp_path / "b"), train, None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        tuning.search(made(tmp_path / "c"), train, valid)


def test_a_trial_that_diverges_is_a_failure(train, valid, tmp_path):
    batches = train.map(lambda x, y: (x, {"click": y["click"] * np.nan}))
    tuner = made(tmp_path / "loss", max_trials=2)
    message = "None of 2 trials completed:\n.*diverged.*the loss was nan in epoch 0"
    with pytest.raises(RuntimeError, match=message):
        tuning.search(tuner, batches, valid, epochs=3, verbose=0)
    with pytest.raises(ValueError, match="No trial completed"):
        tuning.write_best(tuner, tmp_path / "best")


def test_a_trial_whose_predictions_diverge_is_a_failure(train, valid):
    class Diverge(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:  # the last one
                self.model.set_weights([w * np.nan for w in self.model.get_weights()])

    model = hypermodel()
    hp = keras_tuner.HyperParameters()
    with pytest.raises(ValueError, match="the val_click_log_loss was nan in epoch 0"):
        model.fit(hp, model.build(hp), train, valid, callbacks=[Diverge()], verbose=0)


def test_an_objective_that_is_never_a_number_is_a_failure(train, valid):
    one_class = valid.map(lambda x, y: (x, {"click": y["click"] * 0}))
    model = hypermodel()
    hp = keras_tuner.HyperParameters()
    with pytest.raises(ValueError, match="was not a number in any of 2 epochs"):
        model.fit(hp, model.build(hp), train, one_class, epochs=2, verbose=0)


# === Going on ===


class Stop(keras.callbacks.Callback):
    """Interrupts the n-th epoch."""

    left = 0

    def on_epoch_begin(self, epoch, logs=None):
        Stop.left -= 1
        if Stop.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("verbose", [pytest.param(0, marks=pytest.mark.large), 1])
def test_an_interrupted_search_goes_on(verbose, train, valid, tmp_path, monkeypatch):
    whole = tuning.search(made(tmp_path / "a"), train, valid, epochs=2, verbose=0)
    original = keras.Model.fit

    def fit(self, *args, callbacks=(), **options):
        return original(self, *args, callbacks=[*callbacks, Stop()], **options)

    monkeypatch.setattr(keras.Model, "fit", fit)
    Stop.left = 4  # the second epoch of the second trial
    with pytest.raises(KeyboardInterrupt):
        tuning.search(made(tmp_path / "b"), train, valid, epochs=2, verbose=verbose)
    stopped = tuning.read_trials(tmp_path / "b" / "trials")
    assert [t["status"] for t in stopped] == ["COMPLETED", "RUNNING"]
    Stop.left = 0
    tuner = made(tmp_path / "b")
    resumed = tuning.search(tuner, train, valid, epochs=2, verbose=verbose)
    for trial in (*whole, *resumed):
        del trial["seconds"]
    assert resumed == whole
    assert tuning.search(made(tmp_path / "b", max_trials=4), train, valid)[3]


# === Hyperband ===


@pytest.mark.large
def test_hyperband_goes_on_from_earlier_trials(train, valid, tmp_path, monkeypatch):
    space = {"learning_rate": {"low": 1e-3, "high": 0.5}}
    model = hypermodel(space=space, patience=9)
    # One bracket: four trials of an epoch, the better two of two, the best of four.
    tuner = made(tmp_path, model, "hyperband", max_trials=7, max_epochs=4, factor=2)
    begun = {}
    original = model.fit

    def fit(hp, built, *args, **options):
        begun[len(begun)] = (
            options["initial_epoch"],
            int(built.optimizer.iterations),
            [np.array(w) for w in built.get_weights()],
        )
        return original(hp, built, *args, **options)

    monkeypatch.setattr(model, "fit", fit)
    trials = tuning.search(tuner, train, valid, verbose=0)
    count, epochs = tuning.budget("hyperband", 7, 4, factor=2)
    assert len(trials) == count == 7
    assert sum(trial["epochs"] for trial in trials) == epochs
    going_on = [i for i, t in enumerate(trials) if "tuner/trial_id" in t["values"]]
    assert len(going_on) == 3
    for i in going_on:
        values = trials[i]["values"]
        parent = next(t for t in trials if t["trial"] == values["tuner/trial_id"])
        initial, iterations, weights = begun[i]
        assert initial == values["tuner/initial_epoch"] > 0
        assert trials[i]["epochs"] == values["tuner/epochs"] - initial
        assert trials[i]["best_epoch"] >= initial
        # The optimizer too is that of the earlier trial's best epoch: 4 steps each.
        assert iterations == 4 * (parent["best_epoch"] + 1)
        other = model.build(tuner.oracle.get_trial(parent["trial"]).hyperparameters)
        other.load_weights(
            tmp_path / "trials" / f"trial_{parent['trial']}" / "checkpoint.weights.h5"
        )
        for a, b in zip(weights, other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    best = tuning.write_best(tuner, tmp_path / "best")
    assert best["score"] == max(trial["score"] for trial in trials)


def test_max_trials_cuts_hyperband_off(train, valid, tmp_path):
    tuner = made(tmp_path, hypermodel(space={}), "hyperband", max_trials=4)
    assert len(tuning.search(tuner, train, valid, verbose=0)) == 4


# === Messages and import ===


def test_messages(tmp_path):
    with pytest.raises(ValueError, match=r"one of \('bayesian'.*name='grid'"):
        made(tmp_path, name="grid")
    for name in ("deepfmm", "EmbeddingOptions", "build_inputs", "table_rows"):
        with pytest.raises(ValueError, match=rf"one of \['autoint'.*model='{name}'"):
            tuning.build_hypermodel(SCHEMA, name)
    from keras_recs.models import EmbeddingOptions

    options = EmbeddingOptions(hot_rows={"item": 2}, folder=str(tmp_path))
    with pytest.raises(ValueError, match="all trials would write the same files"):
        hypermodel(arguments={"embedding_options": options})


def test_keras_tuner_is_imported_when_it_is_used():
    code = (
        "import sys, keras_recs, keras_recs.tuning, keras_recs.models as m;"
        "keras_recs.tuning.search_space(m.deepfm); sys.exit('keras_tuner' in sys.modules)"
    )
    run_preloaded("-c", code)


def test_the_state_is_json(train, valid, tmp_path):
    tuning.search(made(tmp_path), train, valid, epochs=1, verbose=0)
    outcome = tmp_path / "trials" / "trial_0" / "outcome.json"
    assert json.loads(outcome.read_text())["status"] == "COMPLETED"
