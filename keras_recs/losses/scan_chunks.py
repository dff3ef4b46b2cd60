"""A loop whose steps come one after the other."""

import keras
from keras import ops


def scan_chunks(step, carry, num_chunks):
    """Runs a step for each chunk, with the memory of one.

    As `keras.ops.scan`; but on TensorFlow that wants outputs of the carry's shapes, and
    its graphs run ten steps at a time.

    Args:
        step: function of the carry and the chunk's number, an int32 scalar; returns the
            next carry and a list of outputs.
        carry: list of tensors.
        num_chunks: int.

    Returns:
        The last carry, and each output of all steps `(num_chunks, ...)`.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.scan(step, carry, ops.arange(num_chunks, dtype="int32"))

    import tensorflow as tf

    first_carry, first_outputs = step(carry, tf.constant(0))
    arrays = [
        tf.TensorArray(output.dtype, num_chunks, element_shape=output.shape)
        for output in first_outputs
    ]
    arrays = [array.write(0, out) for array, out in zip(arrays, first_outputs)]

    def body(number, carry, arrays):
        carry, outputs = step(carry, number)
        written = [array.write(number, out) for array, out in zip(arrays, outputs)]
        return number + 1, carry, written

    _, carry, arrays = tf.while_loop(
        lambda number, *_: number < num_chunks,
        body,
        (tf.constant(1), first_carry, arrays),
        parallel_iterations=1,
        maximum_iterations=num_chunks - 1,  # XLA must know it
    )
    return carry, [array.stack() for array in arrays]
