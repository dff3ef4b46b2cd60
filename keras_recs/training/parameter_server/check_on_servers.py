"""Whether a model lies on parameter servers."""

from __future__ import annotations

import keras


def check_on_servers(model: keras.Model) -> None:
    """Raises a `ValueError` for a model that was not made in the strategy's scope.

    Args:
        model: built `keras.Model`.
    """
    variables = [*model.variables, *model.optimizer.variables]
    elsewhere = [
        variable.path
        for variable in variables
        if variable._value is not None and "/job:ps" not in variable._value.device
    ]
    if elsewhere:
        raise ValueError(
            "Under parameter servers the model is made, compiled and built in the "
            f"strategy's scope. Of {len(variables)} variables {len(elsewhere)} are on "
            f"no server: {elsewhere[:3]}"
        )
