"""Rows of what is asked alone."""

import keras
from keras import ops

from keras_recs.layers.sequence.places import Places


def rows_at(is_there, *arrays):
    """Places of `(B, T, …)` one after the other; on TensorFlow those that are there.

    Elsewhere all: XLA wants shapes that it knows.

    Args:
        is_there: tensor `(B, T)`, 0 or false where nothing is asked.
        arrays: tensors `(B, T, …)`.

    Returns:
        list of tensors `(N, …)`, of TensorFlow with N places, elsewhere `B T`.
    """
    if keras.backend.backend() == "tensorflow":
        places = Places(ops.cast(is_there, "bool"))
        return [places.rows(array) for array in arrays]
    return [ops.reshape(array, (-1, *array.shape[2:])) for array in arrays]
