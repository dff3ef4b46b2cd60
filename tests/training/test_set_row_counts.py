"""The counts by which a mini-batch aware penalty divides, from the training data."""

import keras
import numpy as np
import pytest

from keras_recs import (
    CategoricalFeature,
    Label,
    NumericFeature,
    Schema,
    SequenceFeature,
)
from keras_recs.data import array_dataset
from keras_recs.layers import BatchL2
from keras_recs.models import deepfm
from keras_recs.training import set_row_counts

SCHEMA = Schema(
    features=[
        CategoricalFeature("item", vocabulary_size=3),
        SequenceFeature("history", table="item", max_length=2, combiner="sum"),
        NumericFeature("price"),
    ],
    labels=[Label("click")],
)
DATA = {
    "item": [0, 0, 2, 5],
    "history": [[], [0, 1], [2], [1]],
    "price": [1.0, 2.0, 3.0, 4.0],
    "click": [1, 0, 1, 0],
}
COUNTS = [0, 1, 3, 2, 2]  # of padding, unknown values and three items


def counted(schema=SCHEMA, by_count=True):
    regularizer = BatchL2(0.1, by_count=by_count)
    model = deepfm(schema, 2, (4,), embeddings_regularizer=regularizer)
    model.compile("sgd", "binary_crossentropy")
    return model


def test_every_table_layer_is_told(tmp_path):
    train = array_dataset(DATA, SCHEMA, 2)
    model = counted()
    with pytest.raises(ValueError, match=r"Table 'item'.*has no counts of its rows"):
        model.fit(train, shuffle=False, verbose=0)
    set_row_counts(model, SCHEMA, train)
    for layer in (
        model.get_layer("embedding"),
        model.get_layer("linear").weight_of_value,
    ):
        np.testing.assert_array_equal(layer.row_counts["tables"], COUNTS)
    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    history = copy.fit(train, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_nothing_is_read_for_another_regularizer():
    set_row_counts(counted(by_count=False), SCHEMA, None)


def test_keys_that_training_learns_cannot_be_counted():
    user = CategoricalFeature("user", max_keys=4)
    schema = Schema(features=[*SCHEMA.features, user], labels=SCHEMA.labels)
    with pytest.raises(
        ValueError, match=r"Feature 'user': .*cannot be counted.*Received: .* 6 rows"
    ):
        set_row_counts(counted(schema), schema, None)
