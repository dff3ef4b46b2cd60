"""Serialized examples to raw features."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recs.data import parse_examples
from tests import samples


def test_values_come_back(click_schema):
    columns = samples.click_columns(20)
    records = [samples.example(row) for row in samples.rows_of(columns)]
    raw = parse_examples(records, click_schema, features_only=False)
    for name in ("user", "item"):
        assert raw[name].numpy().tolist() == [(v or "").encode() for v in columns[name]]
    assert raw["hour"].numpy().tolist() == [
        -1 if v is None else v for v in columns["hour"]
    ]
    for name in ("price", "age", "click", "rating", "weight"):
        expected = [np.nan if v is None else v for v in columns[name]]
        np.testing.assert_array_equal(raw[name], np.array(expected, "float32"))
    for name in ("genres", "history"):
        assert isinstance(raw[name], tf.RaggedTensor)
        assert raw[name].to_list() == [
            [v.encode() for v in row] for row in columns[name]
        ]
    assert raw["time"].numpy().tolist() == columns["time"]


def test_an_empty_example_is_all_missing(click_schema):
    raw = parse_examples([samples.example({})], click_schema)
    assert raw["user"].numpy().tolist() == [b""]
    assert raw["hour"].numpy().tolist() == [-1]
    assert np.isnan(raw["price"].numpy()).all()
    assert raw["genres"].to_list() == [[]]


def test_a_label_that_is_missing_is_named(click_schema):
    row = {"user": "ann", "rating": 1.0, "weight": 1.0, "time": 3}
    with pytest.raises(tf.errors.InvalidArgumentError, match="click"):
        parse_examples([samples.example(row)], click_schema, features_only=False)
