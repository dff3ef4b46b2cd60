"""Regularizer of the weights of a table."""

import keras

from keras_recs.layers.embedding.batch_l2 import BatchL2


def checked_regularizer(name, regularizer):
    """The regularizer that an argument stands for.

    Args:
        name: string. Argument that holds it.
        regularizer: Keras regularizer, its name or configuration; a number, the
            strength of a `BatchL2`; 0 or `None` for none.

    Returns:
        Keras regularizer or `None`.

    Raises:
        ValueError: for anything else.
    """
    is_number = isinstance(regularizer, (int, float))
    if is_number and not isinstance(regularizer, bool):
        if regularizer >= 0:
            return BatchL2(float(regularizer)) if regularizer else None
    else:
        try:
            return keras.regularizers.get(regularizer)
        except (TypeError, ValueError):
            pass
    raise ValueError(
        f"`{name}` must be a strength of at least 0, such as 1e-5, or a Keras "
        f"regularizer. Received: {name}={regularizer!r}"
    )
