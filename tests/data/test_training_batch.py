"""Labels and weights of records that `pipelines.prepare` has not checked."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recs import CategoricalFeature, Label, Schema
from keras_recs.data import tfrecord_dataset
from keras_recs.data.training_batch import training_batch
from tests import samples

LABELS = [
    Label("click", sample_weight="weight"),
    Label("stars", task="regression"),
    Label("watch", task="watch_time"),
]
SCHEMA = Schema([CategoricalFeature("x", vocabulary_size=9)], LABELS)
GOOD = {"x": 1, "click": 1.0, "weight": 0.0, "stars": -2.5, "watch": 61.5}
BAD = [
    ("click", 2.0, "click must be 0 or 1 in every row"),
    ("click", 0.5, "click must be 0 or 1 in every row"),
    ("click", np.nan, "click must be 0 or 1 in every row"),
    ("weight", -1.0, "weight must be a finite number of at least 0"),
    ("weight", np.nan, "weight must be a finite number of at least 0"),
    ("stars", np.inf, "stars must be finite"),
    ("stars", np.nan, "stars must be finite"),
    ("watch", -0.25, "watch must be a finite number of at least 0"),
    ("watch", np.nan, "watch must be a finite number of at least 0"),
    ("watch", np.inf, "watch must be a finite number of at least 0"),
]


def batch(rows):
    return {name: tf.constant([row[name] for row in rows]) for name in GOOD}


@pytest.mark.parametrize(("column", "value", "message"), BAD)
def test_a_bad_label_stops_training(column, value, message):
    to_batch = tf.function(training_batch(SCHEMA))
    rows = [GOOD, {**GOOD, column: value}, GOOD]
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        to_batch(batch(rows))
    assert message in str(error.value)
    assert f"[{value:g}]" in str(error.value)
    assert "rows of a batch:" in str(error.value)
    assert "[1]" in str(error.value)


def test_good_labels_pass():
    rows = [GOOD, {**GOOD, "click": 0.0, "watch": 0.0, "weight": 2.0}]
    _, labels, weights = training_batch(SCHEMA)(batch(rows))
    for name, expected in (
        ("click", [1, 0]),
        ("stars", [-2.5, -2.5]),
        ("watch", [61.5, 0]),
    ):
        np.testing.assert_array_equal(labels[name], np.array(expected)[:, None])
    np.testing.assert_array_equal(weights["click"], [0, 2])
    np.testing.assert_array_equal(weights["watch"], [1, 1])


@pytest.mark.parametrize(("column", "value", "message"), [BAD[0], BAD[7]])
def test_records_of_other_programs(tmp_path, column, value, message):
    rows = [GOOD, GOOD, {**GOOD, column: value}]
    samples.write_records(tmp_path / "train.tfrecord", map(samples.example, rows))
    batches = tfrecord_dataset(tmp_path / "train.tfrecord", SCHEMA, 2, shuffle=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(batches)
