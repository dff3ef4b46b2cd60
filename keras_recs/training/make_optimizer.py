"""An optimizer by its name."""

import keras

from keras_recs import optimizers


def make_optimizer(name: str, learning_rate: float) -> keras.optimizers.Optimizer:
    """Makes an optimizer of Keras or of `keras_recs.optimizers`.

    Args:
        name: such as `"adam"` or `"rowwise_adagrad"`.
        learning_rate: float.

    Raises:
        ValueError: for a name that neither Keras nor keras_recs has.
    """
    ours = {offered.lower(): offered for offered in optimizers.__all__}
    del ours["compositeoptimizer"]  # it takes optimizers, not a learning rate
    plain = name.lower().replace("_", "")
    if plain in ours:
        return getattr(optimizers, ours[plain])(learning_rate)
    try:
        optimizer = keras.optimizers.get(name)
    except ValueError as error:
        raise ValueError(
            "`optimizer` must be the name of a Keras optimizer such as 'adam', or of "
            f"{sorted(ours.values())}. Received: optimizer={name!r}"
        ) from error
    optimizer.learning_rate = learning_rate
    return optimizer
