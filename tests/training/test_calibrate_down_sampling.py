"""A model of kept examples that serves the rates among all."""

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, Schema, metrics
from keras_recs.data import DownSampleNegatives, array_dataset
from keras_recs.export import saved_model
from keras_recs.models import deepfm, logistic_regression
from keras_recs.training import calibrate_down_sampling
from tests.harness import model_inputs

SCHEMA = Schema(
    features=[CategoricalFeature("x", vocabulary_size=8)],
    labels=[Label("click"), Label("like")],
)


@pytest.fixture
def model():
    return deepfm(SCHEMA, embedding_dim=2, hidden_units=(3,))


def inputs(batch=9):
    return model_inputs(SCHEMA, batch)


def by_loop(p, rate):
    return [[float(x) / (float(x) + (1 - float(x)) / rate)] for x in p[:, 0]]


def test_the_named_label_alone(model):
    before = model.predict_on_batch(inputs())
    served = calibrate_down_sampling(model, {"click": 0.1})
    after = served.predict_on_batch(inputs())
    np.testing.assert_allclose(after["click"], by_loop(before["click"], 0.1), rtol=1e-5)
    np.testing.assert_array_equal(after["like"], before["like"])
    assert served.name == model.name
    assert [w.path for w in served.weights] == [w.path for w in model.weights]
    np.testing.assert_array_equal(
        model.predict_on_batch(inputs())["click"], before["click"]
    )


def test_saved_and_loaded(model, tmp_path):
    served = calibrate_down_sampling(model, {"click": 0.1, "like": 0.5})
    expected = served.predict_on_batch(inputs())
    served.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for label, values in loaded.predict_on_batch(inputs()).items():
        np.testing.assert_allclose(values, expected[label], rtol=1e-6)


def test_exported(model, tmp_path):
    """The export is checked against the corrected model before it appears."""
    import tensorflow as tf

    served = calibrate_down_sampling(model, {"click": 0.1})
    path = saved_model(served, SCHEMA, tmp_path / "export")
    serving = tf.saved_model.load(str(path)).signatures["serving_default"]
    outputs = serving(x=tf.constant([0, 3, 7], tf.int64))
    p = model.predict_on_batch({"x": np.array([2, 5, 9], "int32")})["click"]
    np.testing.assert_allclose(outputs["click"], by_loop(p, 0.1), rtol=1e-5)


def test_rates_of_a_trained_model():
    """One weight a value: after training, the corrected output is each value's rate."""
    rng = np.random.default_rng(0)
    schema = Schema(features=SCHEMA.features, labels=[Label("click")])
    x = rng.integers(8, size=40_000)
    rates = np.linspace(0.02, 0.4, 8)
    data = {"x": x, "click": (rng.random(len(x)) < rates[x]).astype("float32")}
    observed = [data["click"][x == value].mean() for value in range(8)]
    values = {"x": np.arange(2, 10, dtype="int32")}
    for weigh in (False, True):
        down = DownSampleNegatives(rate=0.25, weigh=weigh)
        batches = array_dataset(data, schema, 1024, down_sampling=down)
        model = logistic_regression(schema)
        model.compile(keras.optimizers.Adam(0.05), loss="binary_crossentropy")
        model.fit(batches, epochs=25, shuffle=False, verbose=0)
        plain = model.predict_on_batch(values)["click"][:, 0]
        served = plain
        if not weigh:
            served = calibrate_down_sampling(model, {"click": 0.25})
            served = served.predict_on_batch(values)["click"][:, 0]
            assert (plain > 1.5 * served).all()
        np.testing.assert_allclose(served, observed, rtol=0.15)
    score = served[x]
    assert metrics.calibration_ratio(data["click"], score) == pytest.approx(1, abs=0.05)


def test_messages(model):
    for rates, message in (
        ({"no": 0.1}, r"outputs of the model. Received: \['no'\]; .*'click', 'like'"),
        ({}, "Received: none"),
        ({"click": 2.0}, "at most 1. Received: rate=2.0"),
    ):
        with pytest.raises(ValueError, match=message):
            calibrate_down_sampling(model, rates)
    served = calibrate_down_sampling(model, {"click": 0.1})
    with pytest.raises(ValueError, match=r"Output 'click' .* is corrected already"):
        calibrate_down_sampling(served, {"click": 0.1})
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(
        ValueError, match=r"a dict of outputs by label. Received outputs"
    ):
        calibrate_down_sampling(plain, {"click": 0.1})
