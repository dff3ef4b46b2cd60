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
