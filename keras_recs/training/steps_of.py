"""How many steps an epoch has."""

from __future__ import annotations

from typing import Any


def steps_of(train: Any) -> int:
    """Number of batches of a data set.

    Args:
        train: `tf.data.Dataset`.

    Raises:
        ValueError: if it is not known, or there is no end.
        TypeError: for what is no data set.
    """
    if not hasattr(train, "cardinality"):
        raise TypeError(
            "`train` must be a `tf.data.Dataset`, such as `keras_recs.data` makes. "
            f"Received: {type(train).__name__}"
        )
    num_steps = int(train.cardinality())
    if num_steps < 0:
        raise ValueError(
            "`train` must be a data set whose number of batches is known, so that an "
            "epoch has an end: `dataset.apply(tf.data.experimental.assert_cardinality("
            f"n))`. Received: cardinality {num_steps}"
        )
    return num_steps
