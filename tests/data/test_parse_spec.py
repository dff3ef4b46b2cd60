"""The form of a `tf.train.Example`."""

import math

import tensorflow as tf

from keras_recs import CategoricalFeature, Label, Schema
from keras_recs.data import parse_spec


def test_a_serving_request_has_the_features_alone(click_schema):
    spec = parse_spec(click_schema)
    assert list(spec) == ["user", "item", "genres", "history", "hour", "price", "age"]
    for name in ("user", "item"):
        assert spec[name] == tf.io.FixedLenFeature((), tf.string, "")
    assert spec["hour"] == tf.io.FixedLenFeature((), tf.int64, -1)
    assert spec["price"].dtype == tf.float32
    assert math.isnan(spec["price"].default_value)
    for name in ("genres", "history"):
        assert isinstance(spec[name], tf.io.RaggedFeature)
        assert spec[name].dtype == tf.string


def test_training_needs_labels_weights_and_keys(click_schema):
    spec = parse_spec(click_schema, features_only=False)
    added = {"click", "rating", "weight", "time"}
    assert set(spec) == {*parse_spec(click_schema), *added}
    for name in added:
        assert spec[name].default_value is None
    assert spec["time"].dtype == tf.int64
    # The group key is a feature too, which need not be there.
    assert spec["user"].default_value == ""


def test_a_group_key_of_its_own_is_a_string():
    schema = Schema(
        features=[CategoricalFeature("item")], labels=[Label("y")], group_key="session"
    )
    assert "session" not in parse_spec(schema)
    spec = parse_spec(schema, features_only=False)
    assert spec["session"] == tf.io.FixedLenFeature((), tf.string, None)


def test_ids_as_they_are_keep_the_type_as_group_key():
    schema = Schema(
        features=[CategoricalFeature("user", vocabulary_size=9)], group_key="user"
    )
    assert parse_spec(schema, features_only=False)["user"].dtype == tf.int64
