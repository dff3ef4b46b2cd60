"""Sums the gradients of rows that a batch looked up several times."""


def is_sparse(gradient):
    """Whether a gradient is `tf.IndexedSlices`."""
    return type(gradient).__name__ == "IndexedSlices"


def sum_duplicates(slices):
    """Makes each row of a sparse gradient unique.

    Args:
        slices: `tf.IndexedSlices` whose indices may repeat.

    Returns:
        `tf.IndexedSlices` in float32 with each index once, in the order in which they
        first appear.
    """
    import tensorflow as tf

    rows, position = tf.unique(slices.indices)
    values = tf.math.unsorted_segment_sum(
        tf.cast(slices.values, tf.float32), position, tf.size(rows)
    )
    return tf.IndexedSlices(values, rows, slices.dense_shape)
