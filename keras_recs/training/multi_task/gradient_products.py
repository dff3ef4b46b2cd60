"""Inner products of the gradients of tasks."""


def gradient_products(by_task, masks):
    """Inner products over the weights that tasks share.

    Rows of a table that occur several times in a batch are added up before.

    Args:
        by_task: list of lists: for each of K tasks the gradient of each variable, a
            tensor, a `tf.IndexedSlices` or `None`.
        masks: list: for each variable the mask of what tasks share of it, `None` for
            all. A variable that only one task reaches does not count.

    Returns:
        Float32 `(K, K)`.
    """
    import tensorflow as tf

    count = len(by_task)
    total = tf.zeros((count, count))
    for i, mask in enumerate(masks):
        gradients = [gradients[i] for gradients in by_task]
        there = [g for g in gradients if g is not None]
        if len(there) < 2:
            continue
        if all(isinstance(g, tf.IndexedSlices) for g in there):
            rows = _summed_rows(gradients, mask)
        else:
            rows = [
                None if g is None else tf.reshape(_masked(g, mask), (-1,))
                for g in gradients
            ]
        size = next(row for row in rows if row is not None)
        filled = [tf.zeros_like(size) if row is None else row for row in rows]
        stacked = tf.cast(tf.stack(filled), tf.float32)  # (K, weights)
        total += tf.matmul(stacked, stacked, transpose_b=True)
    return total


def _masked(gradient, mask):
    import tensorflow as tf

    gradient = tf.cast(tf.convert_to_tensor(gradient), tf.float32)
    return gradient if mask is None else gradient * mask


def _summed_rows(gradients, mask):
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
            tf.math.unsorted_segment_sum(_masked(g.values, mask), next(starts), number),
            (-1,),
        )
        for g in gradients
    ]
