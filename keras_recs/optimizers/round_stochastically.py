"""Stochastic rounding to bfloat16."""


def round_stochastically(values, seed):
    """Rounds up or down at random, so that the expected value is the exact one.

    A step smaller than half the spacing of bfloat16 (1/256 of the value) would
    otherwise vanish every time.

    Args:
        values: float32 tensor.
        seed: int tensor `(2,)`.

    Returns:
        bfloat16 tensor.
    """
    import tensorflow as tf

    noise = tf.random.stateless_uniform(
        tf.shape(values), seed, minval=0, maxval=2**16, dtype=tf.int32
    )
    bits = tf.bitcast(values, tf.int32) + noise
    kept = tf.bitwise.bitwise_and(bits, tf.constant(-(2**16), tf.int32))
    rounded = tf.bitcast(kept, tf.float32)
    # Adding noise to the bits of an infinity would make a NaN, and of a NaN a number.
    rounded = tf.where(tf.math.is_finite(values), rounded, values)
    return tf.cast(rounded, tf.bfloat16)
