"""A mixed-precision model as it would answer in full precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_recs.layers.embedding.find_two_level_tables import find_two_level_tables

if TYPE_CHECKING:
    import keras

HALF_TYPES = ("bfloat16", "float16")


def is_half(model: keras.Model) -> bool:
    """Whether a layer of a model computes in half precision."""
    return any(layer.compute_dtype in HALF_TYPES for layer in model._flatten_layers())


def float32_twin(model: keras.Model) -> keras.Model:
    """Builds the same model with every dtype policy set to float32.

    Args:
        model: functional `keras.Model`, of a policy such as `"mixed_bfloat16"`, whose
            variables are float32 then, but for tables stored in bfloat16.

    Returns:
        A new model with a copy of the weights.
    """
    import keras

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")  # of what has none in the config
    try:
        twin = type(model).from_config(_in_float32(model.get_config()))
    finally:
        keras.config.set_dtype_policy(policy)
    twin.set_weights(model.get_weights())
    copies = find_two_level_tables(twin)
    for copy, table in zip(copies, find_two_level_tables(model), strict=True):
        copy.pager = table.pager  # the other rows, and which ones are in memory
    return twin


def _in_float32(config: Any) -> Any:
    """A config with the names of half-precision types and policies replaced."""
    if isinstance(config, dict):
        return {
            # Tables are stored as they are: in half precision they are exact already.
            key: value if key == "tables" else _in_float32(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_in_float32(value) for value in config)
    names = {*HALF_TYPES, *(f"mixed_{name}" for name in HALF_TYPES)}
    return "float32" if isinstance(config, str) and config in names else config
