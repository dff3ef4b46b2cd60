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


@pytest.mark.parametrize(
    ("name", "value"), [("user", 3), ("hour", "5"), ("price", 1), ("genres", [1.0])]
)
def test_a_value_of_another_type_names_the_feature(click_schema, name, value):
    row = {**samples.rows_of(samples.click_columns(1))[0], name: value}
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"[Kk]ey: {name}"):
        parse_examples([samples.example(row)], click_schema)


def test_a_request_is_preprocessed_as_the_training_data(click_schema):
    """Without labels and with what is missing left out: the inputs are the same."""
    from keras_recs.data import array_dataset
    from keras_recs.preprocessing import SchemaPreprocessor

    columns = samples.click_columns(32)
    (inputs, *_), *_ = array_dataset(columns, click_schema, 32, shuffle=False)
    for name in ("click", "rating", "weight", "time"):
        del columns[name]
    requests = [samples.example(row) for row in samples.rows_of(columns)]
    preprocess = SchemaPreprocessor(click_schema)
    served = preprocess(parse_examples(requests, click_schema))
    assert list(served) == list(inputs)
    for name, values in inputs.items():
        np.testing.assert_array_equal(served[name], values, name)
    for row, request in enumerate(requests):
        alone = preprocess(parse_examples([request], click_schema))
        for name, values in inputs.items():
            value = alone[name].numpy()[0]
            if name == "genres":  # as wide as the longest of its batch
                value = np.pad(value, (0, values.shape[1] - len(value)))
            np.testing.assert_array_equal(value, values[row], name)
