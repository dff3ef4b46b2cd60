"""YouTube ranking: what a watch-time head converges to, and the network's parts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recs import (
    CategoricalFeature,
    Label,
    NumericFeature,
    Schema,
    SequenceFeature,
)
from keras_recs.losses import losses_of
from keras_recs.models import logistic_regression, youtube_ranking
from tests import harness

WATCH = Label("watch", task="watch_time")


def odds(times):
    """Σ T of the watched impressions over the number of the others."""
    return sum(times) / sum(1 for time in times if time == 0)


def impressions(watched_shares, mean_times, size, seed=0):
    """The same number of impressions of each video, watched as given."""
    rng = np.random.default_rng(seed)
    video = np.repeat(np.arange(len(mean_times)), size)
    watched = rng.random(len(video)) < np.take(watched_shares, video)
    times = rng.gamma(2, np.take(mean_times, video) / 2) * watched
    return video, times.astype("float32")


def test_a_weight_a_video_converges_to_its_odds():
    """Served is Σ T / (N − k), which exceeds the mean watch time by N / (N − k)."""
    schema = Schema([CategoricalFeature("video", vocabulary_size=4)], [WATCH])
    video, times = impressions([0.02, 0.05, 0.05, 0.5], [30, 60, 5, 10], 800)
    model = logistic_regression(schema)
    model.compile(keras.optimizers.Adam(0.3), losses_of(schema))
    inputs = {"video": (2 + video).astype("int32")}
    data = tf.data.Dataset.from_tensors((inputs, {"watch": times[:, None]}))
    for rate in (0.3, 0.03, 0.003):
        model.optimizer.learning_rate = rate
        model.fit(data.repeat(80), shuffle=False, verbose=0)
    served = model.predict_on_batch({"video": np.arange(2, 6).astype("int32")})[
        "watch"
    ][:, 0]
    for v in range(4):
        mine = times[video == v]
        assert served[v] == pytest.approx(odds(mine), rel=1e-3)
        share = np.mean(mine > 0)
        assert served[v] == pytest.approx(mine.mean() / (1 - share), rel=1e-3)
        if share < 0.1:  # near the expected watch time
            assert served[v] == pytest.approx(mine.mean(), rel=0.12)


def test_the_network_learns_expected_watch_times():
    """Of a log whose expected times follow from a video and a number."""
    schema = Schema(
        features=[
            CategoricalFeature("video", vocabulary_size=3),
            SequenceFeature("watched", table="video", max_length=2),
            NumericFeature("age"),
        ],
        labels=[WATCH, Label("click")],
    )
    rng = np.random.default_rng(0)
    rows = 6000
    video, age = rng.integers(0, 3, rows), rng.random(rows).astype("float32")
    share = 0.08
    mean = np.take([20.0, 60.0, 120.0], video) * (0.5 + np.sqrt(age))
    clicked = rng.random(rows) < share
    times = rng.gamma(4, mean / 4) * clicked
    inputs = {
        "video": (2 + video).astype("int32"),
        "watched": np.stack([2 + video, 0 * video], 1).astype("int32"),
        "age": age,
    }
    labels = {
        "watch": times[:, None].astype("float32"),
        "click": clicked[:, None].astype("float32"),
    }
    keras.utils.set_random_seed(0)
    model = youtube_ranking(schema, 4, (16, 8))
    model.compile(keras.optimizers.Adam(0.01), losses_of(schema))
    model.fit(inputs, labels, batch_size=500, epochs=12, verbose=0)
    outputs = model.predict(inputs, batch_size=rows, verbose=0)
    served, expected = outputs["watch"][:, 0], share * mean
    assert np.corrcoef(served, expected)[0, 1] > 0.9
    # Calibrated but for the factor 1 / (1 − P).
    assert served.mean() == pytest.approx(times.mean() / (1 - share), rel=0.1)
    assert outputs["click"].mean() == pytest.approx(clicked.mean(), rel=0.15)


def test_parts(click_schema):
    model = youtube_ranking(click_schema)
    assert model.get_layer("deep").hidden_units == (1024, 512, 256)
    assert model.get_layer("embedding").embedding_dim == 32
    numbers = len(click_schema.numeric_features)
    fields = len(click_schema.id_features)
    assert model.get_layer("features").output.shape[-1] == 32 * fields + 3 * numbers
    # The history has the table of the item, and is averaged.
    embedding = model.get_layer("embedding")
    assert embedding.features["history"] == embedding.features["item"] == "item"
    assert embedding.combiners["history"] == "mean"


def test_an_untrained_model_predicts_about_1(tmp_path):
    """e^0, from small weights; far from it the loss would start in its flat part."""
    schema = harness.model_schemas(tmp_path)["no numbers"]
    keras.utils.set_random_seed(0)
    model = youtube_ranking(schema)
    outputs = model.predict_on_batch(harness.model_inputs(schema, 20))["watch"]
    assert np.log(outputs).std() < 1 and abs(np.log(outputs)).max() < 3
