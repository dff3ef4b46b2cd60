"""Whether a strategy keeps its variables on parameter servers."""

from typing import Any


def is_parameter_server(strategy: Any) -> bool:
    """Whether a `tf.distribute.Strategy` is TensorFlow 2's ParameterServerStrategy."""
    return getattr(strategy, "_is_parameter_server_strategy_v2", False)
