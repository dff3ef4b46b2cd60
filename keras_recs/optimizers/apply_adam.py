"""Adam on a whole variable."""


def apply_adam(variable, slots, gradient, learning_rate, optimizer):
    """Updates a TensorFlow variable and its moments in one pass.

    m += (1 − β₁)(g − m), v += (1 − β₂)(g² − v), w −= η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v
    + ε). As single operations it takes several times as long.

    Args:
        variable: float32 `tf.Variable`.
        slots: two Keras variables of its shape: momentum and velocity.
        gradient: tensor of its shape.
        learning_rate: float32 scalar.
        optimizer: has `iterations`, `beta_1`, `beta_2` and `epsilon`.
    """
    import tensorflow as tf

    step = tf.cast(optimizer.iterations.value, tf.float32) + 1.0
    momentum, velocity = slots
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=momentum.value.handle,
        v=velocity.value.handle,
        beta1_power=optimizer.beta_1**step,
        beta2_power=optimizer.beta_2**step,
        lr=learning_rate,
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        epsilon=optimizer.epsilon,
        grad=tf.cast(gradient, tf.float32),
    )
