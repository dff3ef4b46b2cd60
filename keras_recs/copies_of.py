"""The variables of TensorFlow behind a Keras variable."""


def copies_of(variable):
    """The `tf.Variable` of a Keras variable, or one a replica under a strategy.

    Outside a training step `variable.value.handle` is that of the first replica alone.

    Args:
        variable: Keras variable on the TensorFlow backend.

    Returns:
        List of `tf.Variable`.
    """
    value = variable._value  # under mixed precision `value` would be a copy in half
    return list(getattr(value, "values", [value]))
