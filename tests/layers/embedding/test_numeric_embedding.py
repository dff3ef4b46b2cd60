"""Numbers times vectors."""

import numpy as np
import pytest

from keras_recs.layers import NumericEmbedding


def test_values():
    layer = NumericEmbedding(2)
    layer.build((None, 3))
    vectors = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    layer.embeddings.assign(vectors)
    outputs = layer(np.array([[1.0, 0.0, -2.0]]))
    assert outputs.numpy().tolist() == [[[1, 2], [0, 0], [-10, -12]]]


def test_regularizer():
    layer = NumericEmbedding(2, embeddings_regularizer="l2")
    layer.build((None, 3))
    layer.embeddings.assign(np.full((3, 2), 2.0))
    assert float(layer.losses[0]) == pytest.approx(0.01 * 6 * 4)
