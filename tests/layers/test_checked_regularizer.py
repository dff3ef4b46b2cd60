"""What stands for a regularizer of a table."""

import json

import keras
import pytest

from keras_recs.layers import BatchL2, FeatureEmbedding, LinearTerm, TableConfig
from keras_recs.layers.checked_regularizer import checked_regularizer


@pytest.mark.parametrize("strength", [1, 1e-5])
def test_a_number_is_the_strength_of_a_batch_l2(strength):
    regularizer = checked_regularizer("l2", strength)
    assert isinstance(regularizer, BatchL2)
    assert regularizer.get_config() == {"l2": strength, "by_count": False}
    config = json.loads(json.dumps(keras.regularizers.serialize(regularizer)))
    assert checked_regularizer("l2", config).l2 == strength


def test_the_rest_is_what_keras_makes_of_it():
    given = BatchL2(0.5, by_count=True)
    assert checked_regularizer("l2", given) is given
    assert isinstance(checked_regularizer("l2", "l1"), keras.regularizers.L1)
    for nothing in (None, 0, 0.0):
        assert checked_regularizer("l2", nothing) is None


@pytest.mark.parametrize("value", [-1e-5, float("nan"), "no", True, [1e-5]])
def test_messages(value):
    message = r"`{}` must be a strength .* 1e-5, or a Keras regularizer. Received: "
    tables, features = [TableConfig("item", 10, 4)], {"item": "item"}
    with pytest.raises(ValueError, match=message.format("embeddings_regularizer")):
        FeatureEmbedding(tables, features, embeddings_regularizer=value)
    with pytest.raises(ValueError, match=message.format("kernel_regularizer")):
        LinearTerm(tables, features, kernel_regularizer=value)
