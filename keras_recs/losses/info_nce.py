"""Contrast between two views of a batch."""

from keras import ops

LOWEST = -1e9


def info_nce(
    first,
    second,
    ids=None,
    same=None,
    temperature=0.1,
    symmetric=True,
    cosine=True,
):
    """−log [e^{s_ii/τ} / Σ_j e^{s_ij/τ}] for the similarities s_ij of two views.

    Each example shall find its other view among those of the batch.

    Args:
        first: `(B, D)`.
        second: `(B, D)`, of the same examples.
        ids: `(B,)`. Examples of the same id are no negatives of each other. Defaults to
            `None`: all are.
        same: bool `(B, B)`, true where two examples are no negatives of each other,
            such as items that share an attribute; beside `ids`. The diagonal does not
            matter. Defaults to `None`.
        temperature: float above 0. The τ. Defaults to `0.1`.
        symmetric: bool. The mean of both directions, the second view also looking for
            the first; else only the first looks. Defaults to `True`.
        cosine: bool. Scale the vectors to length 1; else s is the inner product.
            Defaults to `True`.

    Returns:
        float32 `(B,)`, the loss of each example.

    Raises:
        ValueError: for a `temperature` that is not positive, and for views of other
            shapes.

    Example:
    >>> views = np.eye(3)
    >>> loss = keras_recs.losses.info_nce(views, views, temperature=1.0)
    >>> [round(float(value), 4) for value in loss]  # log(1 + 2/e)
    [0.5514, 0.5514, 0.5514]

    Reference: [van den Oord et al., 2018](https://arxiv.org/abs/1807.03748)
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(
            "`temperature` must be a number above 0. Received: "
            f"temperature={temperature!r}"
        )
    first, second = ops.convert_to_tensor(first), ops.convert_to_tensor(second)
    if len(first.shape) != 2 or len(second.shape) != 2:
        raise ValueError(
            "`first` and `second` must be two views (batch, dim). Received: "
            f"shapes {tuple(first.shape)} and {tuple(second.shape)}"
        )
    first, second = ops.cast(first, "float32"), ops.cast(second, "float32")
    if cosine:
        first, second = _unit(first), _unit(second)
    logits = ops.matmul(first, ops.transpose(second)) / temperature  # (B, B)
    own = ops.cast(ops.eye(ops.shape(logits)[0]), "bool")  # (B, B)
    together = own
    if ids is not None:
        ids = ops.convert_to_tensor(ids)
        equal = ops.equal(ops.expand_dims(ids, 1), ops.expand_dims(ids, 0))  # (B, B)
        together = ops.logical_or(together, equal)
    if same is not None:
        together = ops.logical_or(together, ops.cast(same, "bool"))
    logits = ops.where(ops.logical_xor(together, own), LOWEST, logits)
    positive = ops.sum(ops.where(own, logits, 0.0), axis=1)  # (B,)
    forward = ops.logsumexp(logits, axis=1) - positive
    if not symmetric:
        return forward
    backward = ops.logsumexp(logits, axis=0) - positive
    return 0.5 * (forward + backward)


def _unit(vectors):
    """Of length 1; of a vector without a direction 0, and so is its gradient."""
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    there = squares > 1e-12
    return ops.where(there, vectors * ops.rsqrt(ops.where(there, squares, 1.0)), 0.0)
