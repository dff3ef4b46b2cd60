"""Logistic regression's own properties."""

import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, Schema
from keras_recs.models import logistic_regression
from tests import harness


def test_it_starts_at_one_half(click_schema):
    model = logistic_regression(click_schema)
    outputs = model.predict_on_batch(harness.model_inputs(click_schema, 4))
    assert (outputs["click"] == 0.5).all()
    assert (outputs["rating"] == 0).all()


def test_it_has_one_weight_a_value_and_a_bias():
    schema = Schema(
        features=[CategoricalFeature("a", vocabulary_size=3)], labels=[Label("y")]
    )
    assert logistic_regression(schema).count_params() == (1 + 1 + 3) + 1


def test_it_learns_the_rate_of_each_value():
    """The maximum likelihood of one categorical feature is its click rate."""
    import keras

    schema = Schema(
        features=[CategoricalFeature("a", vocabulary_size=2)], labels=[Label("y")]
    )
    model = logistic_regression(schema)
    model.compile(keras.optimizers.SGD(4.0), {"y": "binary_crossentropy"})
    rows = np.array([2, 2, 2, 2, 3, 3, 3, 3])
    clicks = np.array([1, 0, 0, 0, 1, 1, 1, 0], "float32")[:, None]
    model.fit(
        {"a": np.tile(rows, 60)},
        {"y": np.tile(clicks, (60, 1))},
        batch_size=8,
        shuffle=False,
        verbose=0,
    )
    rates = model.predict_on_batch({"a": np.array([2, 3])})["y"][:, 0]
    assert rates == pytest.approx([0.25, 0.75], abs=0.01)
