"""Metrics of a model on a data set, against loops over the same predictions."""

import math

import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, Schema
from keras_recs.data import array_dataset
from keras_recs.evaluation import Predictions, evaluate
from keras_recs.evaluation.evaluate import measure
from keras_recs.models import logistic_regression
from tests import numpy_reference, samples

NUM_ROWS = 80
BINARY = {
    "auc",
    "log_loss",
    "calibration_ratio",
    "expected_calibration_error",
    "positive_rate",
    "examples",
}


@pytest.fixture(scope="module")
def columns():
    return samples.click_columns(NUM_ROWS)


@pytest.fixture(scope="module")
def model(click_schema):
    model = logistic_regression(click_schema)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def dataset(columns, schema, batch_size=16, **options):
    return array_dataset(columns, schema, batch_size, shuffle=False, **options)


def test_predictions(model, columns, click_schema):
    found = Predictions.collect(
        model, dataset(columns, click_schema, 16, with_group=True)
    )
    (batch,) = dataset(columns, click_schema, NUM_ROWS)
    whole = model.predict_on_batch(batch[0])
    for name in ("click", "rating"):
        np.testing.assert_allclose(found.scores[name], whole[name][:, 0], rtol=1e-6)
        np.testing.assert_allclose(found.labels[name], columns[name], rtol=1e-6)
        assert found.scores[name].dtype == found.labels[name].dtype == "float32"
    np.testing.assert_array_equal(found.weights["click"], columns["weight"])
    assert found.groups.tolist() == [user.encode() for user in columns["user"]]


@pytest.mark.parametrize("batch_size", [7, NUM_ROWS])
def test_values(model, columns, click_schema, batch_size):
    batches = dataset(columns, click_schema, batch_size, with_group=True)
    results = evaluate(model, batches, click_schema)
    assert list(results) == ["click", "rating"]
    scores = Predictions.collect(model, batches).scores
    y, p, w = columns["click"], scores["click"].tolist(), columns["weight"]
    assert results["click"] == pytest.approx(
        {
            "auc": numpy_reference.auc(y, p, w),
            "log_loss": numpy_reference.log_loss(y, p, w),
            "calibration_ratio": np.dot(p, w) / np.dot(y, w),
            "expected_calibration_error": numpy_reference.expected_calibration_error(
                y, p, 20
            ),
            "positive_rate": np.dot(y, w) / sum(w),
            "gauc": numpy_reference.gauc(y, p, columns["user"]),
            "examples": NUM_ROWS,
        },
        rel=1e-5,
    )
    errors = [a - b for a, b in zip(columns["rating"], scores["rating"])]
    assert results["rating"] == pytest.approx(
        {
            "mse": sum(e * e for e in errors) / NUM_ROWS,
            "mae": sum(abs(e) for e in errors) / NUM_ROWS,
            "examples": NUM_ROWS,
        },
        rel=1e-5,
    )


def test_watch_times():
    """Of predictions as they are, with weights and groups, against loops."""
    rng = np.random.default_rng(0)
    schema = Schema(
        [CategoricalFeature("x", vocabulary_size=9)],
        [Label("watch", task="watch_time", sample_weight="w")],
    )
    y = np.maximum(rng.normal(size=50), 0).astype("float32") * 60
    p, w = rng.lognormal(size=50).astype("float32"), rng.uniform(size=50)
    groups = rng.choice(["a", "b", "c"], 50)
    found = Predictions({"watch": y}, {"watch": p}, {"watch": w}, groups)
    watched = [int(time > 0) for time in y]
    times = [weight * (time or 1) for time, weight in zip(y, w)]
    errors = [float(a) - float(b) for a, b in zip(y, p)]
    expected = {
        "mse": sum(v * e * e for v, e in zip(w, errors)) / sum(w),
        "mae": sum(v * abs(e) for v, e in zip(w, errors)) / sum(w),
        "calibration_ratio": np.dot(p, w) / np.dot(y, w),
        "auc": numpy_reference.auc(watched, p, w),
        "watch_time_auc": numpy_reference.auc(watched, p, times),
        "positive_rate": np.dot(watched, w) / sum(w),
        "gauc": numpy_reference.gauc(watched, p, groups),
        "mispredicted_watch_time": numpy_reference.mispredicted_watch_time(
            y, p, groups
        ),
        "examples": 50,
    }
    results = measure(found, schema)["watch"]
    assert results == pytest.approx(expected, rel=1e-5)
    without = measure(Predictions({"watch": y}, {"watch": p}), schema)["watch"]
    grouped = {"gauc", "mispredicted_watch_time"}
    assert set(without) == set(expected) - grouped
    assert without["auc"] == pytest.approx(numpy_reference.auc(watched, p))


def test_without_groups(model, columns, click_schema):
    results = evaluate(model, dataset(columns, click_schema), click_schema)
    assert set(results["click"]) == BINARY


def test_data_without_weights(columns):
    schema = Schema(
        features=[CategoricalFeature("hour", vocabulary_size=24)],
        labels=[Label("click")],
    )
    model = logistic_regression(schema)
    results = evaluate(model, dataset(columns, schema), schema)["click"]
    assert results["auc"] == 0.5
    assert results["log_loss"] == pytest.approx(math.log(2))
    assert results["positive_rate"] == pytest.approx(np.mean(columns["click"]))


def test_weights_that_are_all_zero():
    schema = Schema(
        features=[CategoricalFeature("x")],
        labels=[
            Label("y", sample_weight="w"),
            Label("z", task="regression", sample_weight="w"),
        ],
    )
    zeros, ones = np.zeros(2, "float32"), np.array([0, 1], "float32")
    found = Predictions(
        {"y": ones, "z": ones}, {"y": ones, "z": ones}, {"y": zeros, "z": zeros}
    )
    results = measure(found, schema)
    for name, metric in (
        ("y", "positive_rate"),
        ("y", "auc"),
        ("y", "log_loss"),
        ("z", "mse"),
        ("z", "mae"),
    ):
        assert math.isnan(results[name][metric])


def test_no_batch(model, columns, click_schema):
    empty = dataset(columns, click_schema).take(0)
    with pytest.raises(ValueError, match="`dataset` must have at least one batch"):
        evaluate(model, empty, click_schema)
