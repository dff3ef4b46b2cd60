"""Scores of sampled candidates as if all items were candidates."""

from keras import ops

LOWEST = -1e9


def correct_scores(scores, log_probabilities, temperature=1.0, valid=None):
    """r/τ − log q: the logits of a softmax whose candidates were drawn with q.

    A popular item is a candidate more often than others and would be pushed down as
    often; the correction takes that back, in training alone. Give the result to
    `SampledSoftmax()` with its temperature 1.

    Args:
        scores: r, `(..., 1 + n)`, or any other shape.
        log_probabilities: log q of the candidates, of a shape that broadcasts to that
            of the scores. A constant added to all changes nothing in a softmax, so it
            may be that of a draw or of a batch; but the positive has one, too.
        temperature: float above 0. The τ; the correction comes after it. Defaults to
            `1.0`.
        valid: bool, of a shape that broadcasts to that of the scores: false for a
            candidate that is a positive by accident. Its score becomes −1e9, whatever
            it was. Defaults to `None`: all are.

    Returns:
        float32, of the shape of the scores.

    Raises:
        ValueError: for a `temperature` that is not positive.

    Example:
    >>> scores = np.array([[2.0, 1.0, 3.0]])
    >>> q = np.array([[0.5, 0.25, 0.25]])
    >>> correct = keras_recs.losses.correct_scores
    >>> found = correct(scores, np.log(q), 0.5, np.array([[True, True, False]]))
    >>> [round(float(score), 3) for score in found[0]]  # 2/0.5 + log 2, 1/0.5 + log 4
    [4.693, 3.386, -1000000000.0]

    Reference: [Bengio and Senécal, 2008](https://doi.org/10.1109/TNN.2007.912312);
    [Yi et al., 2019](https://doi.org/10.1145/3298689.3346996)
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(
            "`temperature` must be a number above 0. Received: "
            f"temperature={temperature!r}"
        )
    scores = ops.cast(ops.convert_to_tensor(scores), "float32")
    logs = ops.cast(ops.convert_to_tensor(log_probabilities), "float32")
    logits = scores / temperature - logs
    if valid is None:
        return logits
    return ops.where(ops.cast(valid, "bool"), logits, LOWEST)
