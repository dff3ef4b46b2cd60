"""An optimizer by its name."""

from typing import Any

import keras

from keras_recs import optimizers


def make_optimizer(
    name: str,
    learning_rate: float,
    groups: dict[str, dict[str, Any]] | None = None,
) -> keras.optimizers.Optimizer:
    """Makes an optimizer of Keras or of `keras_recs.optimizers`.

    Args:
        name: such as `"adam"` or `"rowwise_adagrad"`.
        learning_rate: float.
        groups: dict of layer name to the optimizer of its weights: a dict with
            `"optimizer"`, `"learning_rate"` and further arguments of that optimizer.
            The result is then a `CompositeOptimizer`. Defaults to `None`.

    Raises:
        ValueError: for a name that neither Keras nor keras_recs has, a group without
            `"optimizer"` or `"learning_rate"`, and an argument that its optimizer does
            not take.

    Example:
    >>> from keras_recs.training.make_optimizer import make_optimizer
    >>> wide = {"optimizer": "sparse_ftrl", "learning_rate": 0.05, "l1": 0.001}
    >>> make_optimizer("sparse_adagrad", 0.01, {"wide": wide}).groups["wide"].l1
    0.001
    """
    default = _make(name, {"learning_rate": learning_rate})
    if not groups:
        return default
    parts = {}
    for layer, group in groups.items():
        if not isinstance(group, dict) or not {"optimizer", "learning_rate"} <= {
            *group
        }:
            raise ValueError(
                f"Group '{layer}' of optimizers must be a dict with 'optimizer' and "
                f"'learning_rate'. Received: {group!r}"
            )
        arguments = {key: value for key, value in group.items() if key != "optimizer"}
        try:
            parts[layer] = _make(group["optimizer"], arguments)
        except (TypeError, ValueError) as error:
            raise ValueError(f"Group '{layer}' of optimizers: {error}") from error
    return optimizers.CompositeOptimizer(default, parts)


def _make(name: str, arguments: dict[str, Any]) -> keras.optimizers.Optimizer:
    ours = {offered.lower(): offered for offered in optimizers.__all__}
    del ours["compositeoptimizer"]  # it takes optimizers, not a learning rate
    plain = str(name).lower().replace("_", "")
    if plain in ours:
        return getattr(optimizers, ours[plain])(**arguments)
    try:
        kind = type(keras.optimizers.get(name))
    except ValueError as error:
        raise ValueError(
            "`optimizer` must be the name of a Keras optimizer such as 'adam', or of "
            f"{sorted(ours.values())}. Received: optimizer={name!r}"
        ) from error
    return kind(**arguments)
