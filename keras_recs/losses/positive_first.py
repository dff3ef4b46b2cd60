"""Scores of a batch against itself, as the losses take them."""

from keras import ops


def positive_first(scores):
    """Moves the diagonal of a batch's scores to the front.

    Where every example's target is a negative of the others, its own is on the
    diagonal; losses over candidates have it first. Row i of the B targets becomes
    i, i + 1, …, B − 1, 0, …, i − 1, the order of `keras_recs.data.in_batch_negatives`;
    what is behind them stays.

    Args:
        scores: `(B, B + n)`: of each example with the B targets of the batch, then with
            n shared negatives. So may be what belongs to the scores, such as which
            count.

    Returns:
        `(B, B + n)`, the positive first.

    Example:
    >>> scores = np.array([[11, 12, 13, 5], [21, 22, 23, 6], [31, 32, 33, 7]])
    >>> np.asarray(keras_recs.losses.positive_first(scores)).tolist()
    [[11, 12, 13, 5], [22, 23, 21, 6], [33, 31, 32, 7]]
    """
    scores = ops.convert_to_tensor(scores)
    size, width = ops.shape(scores)[0], ops.shape(scores)[1]
    rows = ops.expand_dims(ops.arange(size, dtype="int32"), axis=1)  # (B, 1)
    columns = ops.expand_dims(ops.arange(width, dtype="int32"), axis=0)  # (1, B + n)
    around = (rows + columns) % size
    index = ops.where(columns < size, around, columns)  # (B, B + n)
    return ops.take_along_axis(scores, index, axis=1)
