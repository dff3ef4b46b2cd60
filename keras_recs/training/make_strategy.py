"""Which devices train."""

STRATEGIES = ("none", "mirrored")


def make_strategy(name: str = "none"):
    """Makes the `tf.distribute` strategy of a name.

    Args:
        name: `"none"` (one device) or `"mirrored"` (all devices of this machine).

    Returns:
        `tf.distribute.Strategy`; build and compile the model in its `scope()`.

    Raises:
        ValueError: for an unknown name.
    """
    import tensorflow as tf

    if name not in STRATEGIES:
        raise ValueError(f"`name` must be one of {STRATEGIES}. Received: name={name!r}")
    if name == "none":
        return tf.distribute.get_strategy()
    accelerators = tf.config.list_logical_devices("GPU")
    devices = accelerators or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
