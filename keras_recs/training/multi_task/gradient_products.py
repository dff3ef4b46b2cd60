"""Inner products of the gradients of tasks."""


def gradient_products(by_task, shared):
    """Inner products over the variables that tasks share.

    Rows of a table that occur several times in a batch are added up before.

    Args:
        by_task: list of lists: for each of K tasks the gradient of each variable, a
            tensor, a `tf.IndexedSlices` or `None`.
        shared: list of bool: which variables count.

    Returns:
        Float32 `(K, K)`.
    """
    import tensorflow as tf

    count = len(by_task)
    total = tf.zeros((count, count))
    for i, is_shared in enumerate(shared):
        if not is_shared:
            continue
        gradients = [gradients[i] for gradients in by_task]
        there = [g for g in gradients if g is not None]
        if all(isinstance(g, tf.IndexedSlices) for g in there):
            rows = _summed_rows(gradients)
        else:
            rows = [
                None if g is None else tf.reshape(tf.convert_to_tensor(g), (-1,))
                for g in gradients
            ]
        size = next(row for row in rows if row is not None)
        filled = [tf.zeros_like(size) if row is None else row for row in rows]
        stacked = tf.cast(tf.stack(filled), tf.float32)  # (K, weights)
        total += tf.matmul(stacked, stacked, transpose_b=True)
    return total


def _summed_rows(gradients):
    """Flat gradients of the rows that occur, each row once, in the same order."""
    import tensorflow as tf

    there = [g for g in gradients if g is not None]
    indices = tf.concat([g.indices for g in there], 0)
    distinct, places = tf.unique(indices)
    number = tf.size(distinct)
    starts = iter(tf.split(places, [tf.size(g.indices) for g in there]))
    return [
        None
        if g is None
        else tf.reshape(
            tf.math.unsorted_segment_sum(
                tf.cast(g.values, tf.float32), next(starts), number
            ),
            (-1,),
        )
        for g in gradients
    ]
