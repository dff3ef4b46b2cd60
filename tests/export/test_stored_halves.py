"""Exports of models whose tables are stored in bfloat16, alone or beside others."""

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, Schema
from keras_recs.export import saved_model
from keras_recs.export.float32_twin import float32_twin
from keras_recs.layers import FeatureEmbedding, PredictionHeads, TableConfig
from keras_recs.models import build_inputs

SCHEMA = Schema(
    features=[
        CategoricalFeature("a", vocabulary_size=8),
        CategoricalFeature("b", vocabulary_size=9),
    ],
    labels=[Label("click")],
)


def model_of(dtype):
    inputs = build_inputs(SCHEMA)
    fields = FeatureEmbedding(
        [
            TableConfig("a", 10, 4, dtype="bfloat16"),
            TableConfig("b", 11, 4, dtype=dtype),
        ],
        {"a": "a", "b": "b"},
        embeddings_initializer="normal",
    )(inputs)
    flat = keras.layers.Flatten()(fields)
    return keras.Model(inputs, PredictionHeads(SCHEMA.tasks)([flat]))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_twin_reads_the_same_rows(dtype):
    model = model_of(dtype)
    inputs = {"a": np.array([2, 9]), "b": np.array([1, 10])}
    answers = model.predict_on_batch(inputs)["click"]
    np.testing.assert_array_equal(
        float32_twin(model).predict_on_batch(inputs)["click"], answers
    )


def test_export(tmp_path):
    assert saved_model(model_of("float32"), SCHEMA, tmp_path).name == "1"
