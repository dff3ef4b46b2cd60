"""Initializers that draw other numbers."""


def renewed_initializer(initializer, number=0):
    """An initializer with a seed of its own.

    One object draws the same numbers every time: all tables would start equal. A
    function is called as it is.

    Args:
        initializer: Keras initializer, or a function of the shape and the dtype.
        number: int. Added to the seed. Defaults to `0`, the same seed; one that has
            none draws other numbers in any case.
    """
    if not hasattr(initializer, "get_config"):
        return initializer
    config = initializer.get_config()
    if isinstance(config.get("seed"), int):
        config["seed"] += number
    return type(initializer).from_config(config)
