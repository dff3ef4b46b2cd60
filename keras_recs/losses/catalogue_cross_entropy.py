"""Softmax cross-entropy over a whole catalogue, a part of it at a time."""

import keras
from keras import ops

from keras_recs.losses.scan_chunks import scan_chunks

# Below every logit, and a difference from it is no infinity.
_START = -1e30


def catalogue_cross_entropy(
    hidden, table, targets, bias=None, chunk_size=8192, weights=None
):
    """−log softmax(h Eᵀ + b) at the target, for tables of any length.

    No tensor of N × V scores exists: the scores of `chunk_size` items are made, used
    and dropped, and made again for the gradient. It takes one more matrix product than
    the plain form, to which it is equal, and `N × chunk_size` numbers a few times. Its
    gradient has no gradient of its own.

    With `weights` it is the weighed sum of the losses, whose gradient is made beside
    it, from the same scores: those of all items for a part of the N, of as many numbers
    in all. Where no gradient is wanted that is wasted.

    Args:
        hidden: `(N, D)`, such as the positions of a batch of sequences that count.
        table: `(V, D)`, items to choose from. Without rows of padding, which would be
            candidates: `table[first_row:]`, with targets counted from there.
        targets: int `(N,)` in `[0, V)`.
        bias: `(V,)`. Defaults to `None`: none.
        chunk_size: int. A shorter table is taken as a whole. Defaults to `8192`.
        weights: `(N,)`, which have no gradient. Defaults to `None`.

    Returns:
        float32 `(N,)`, whatever the dtype of the inputs; with `weights` a scalar.

    Raises:
        ValueError: for a `chunk_size` that is not positive, and for shapes that do not
            fit.

    Example:
    >>> hidden, table = np.zeros((2, 4)), np.ones((10, 4))
    >>> loss = keras_recs.losses.catalogue_cross_entropy(
    ...     hidden, table, np.array([0, 9]), chunk_size=4
    ... )
    >>> [round(float(value), 4) for value in loss]  # log 10
    [2.3026, 2.3026]
    """
    if not isinstance(chunk_size, int) or chunk_size < 1:
        raise ValueError(
            "`chunk_size` must be a positive integer. Received: "
            f"chunk_size={chunk_size!r}"
        )
    hidden, table = ops.convert_to_tensor(hidden), ops.convert_to_tensor(table)
    targets = ops.convert_to_tensor(targets)
    bias = None if bias is None else ops.convert_to_tensor(bias)
    _check_shapes(hidden, table, targets, bias)
    arrays = [hidden, table] if bias is None else [hidden, table, bias]
    if weights is not None:
        weights = ops.cast(weights, "float32")
        num_parts = -(-table.shape[0] // chunk_size)
        every = _weighed_log_sum(weights, num_parts)(*arrays)  # ()
    elif table.shape[0] <= chunk_size:
        every = ops.logsumexp(_logits(*arrays), axis=-1)  # (N,)
    else:
        every = _chunked_log_sum(table.shape[0], chunk_size)(*arrays)  # (N,)
    # Its gradient is that of the rows of the targets alone.
    rows = ops.cast(ops.take(table, targets, axis=0), "float32")  # (N, D)
    own = ops.sum(ops.cast(hidden, "float32") * rows, axis=-1)  # (N,)
    if bias is not None:
        own = own + ops.cast(ops.take(bias, targets, axis=0), "float32")
    return every - (own if weights is None else ops.sum(weights * own))


def _logits(hidden, table, bias=None):
    hidden, table = ops.cast(hidden, "float32"), ops.cast(table, "float32")
    logits = ops.matmul(hidden, ops.transpose(table))  # (N, C)
    return logits if bias is None else logits + ops.cast(bias, "float32")


def _chunked_log_sum(num_items, chunk_size):
    """Function of hidden, table and perhaps bias: log Σ_v e^{logit_v} `(N,)`."""
    num_chunks = -(-num_items // chunk_size)
    size = -(-num_items // num_chunks)  # chunks of about the same size
    # The last one is moved back to end with the table; these were in the one before.
    overlap = num_chunks * size - num_items

    def chunk_of(number, hidden, table, bias):
        start = ops.minimum(number * size, num_items - size)
        rows = ops.slice(table, (start, 0), (size, table.shape[1]))  # (C, D)
        part = None if bias is None else ops.slice(bias, (start,), (size,))  # (C,)
        logits = _logits(hidden, rows, part)  # (N, C)
        new = start + ops.arange(size, dtype="int32") >= number * size  # (C,)
        return ops.where(new, logits, _START), ops.cast(rows, "float32")

    @ops.custom_gradient
    def log_sum(*arrays):
        # Or TensorFlow's tape would keep the scores of all chunks for a gradient.
        hidden, table, bias = (*map(ops.stop_gradient, arrays), None)[:3]

        def add(carry, number):
            logits, _ = chunk_of(number, hidden, table, bias)
            return [ops.logaddexp(carry[0], ops.logsumexp(logits, axis=-1))], []

        nothing = ops.full_like(ops.cast(hidden[:, 0], "float32"), _START)
        (total,), _ = scan_chunks(add, [nothing], num_chunks)  # (N,)
        # Not the output: on PyTorch that and `gradient` would hold each other.
        kept = ops.expand_dims(ops.stop_gradient(total), -1)  # (N, 1)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            hidden_32 = ops.cast(hidden, "float32")

            def add(carry, number):
                logits, rows = chunk_of(number, hidden, table, bias)
                shares = ops.exp(logits - kept)  # (N, C)
                shares = shares * ops.expand_dims(upstream, -1)
                to_rows = ops.matmul(ops.transpose(shares), hidden_32)  # (C, D)
                outputs = [ops.cast(to_rows, table.dtype)]
                if bias is not None:
                    outputs.append(ops.cast(ops.sum(shares, axis=0), bias.dtype))
                return [carry[0] + ops.matmul(shares, rows)], outputs

            (to_hidden,), outputs = scan_chunks(
                add, [ops.zeros_like(hidden_32)], num_chunks
            )
            whole = [_joined(output, overlap) for output in outputs]
            return (ops.cast(to_hidden, hidden.dtype), *whole)

        return total, gradient

    return log_sum


def _weighed_log_sum(weights, num_parts):
    """Function of hidden, table and perhaps bias: Σ_n w_n log Σ_v e^{logit_nv}."""

    @ops.custom_gradient
    def log_sum(*arrays):
        hidden, table, bias = (*map(ops.stop_gradient, arrays), None)[:3]
        count, dim = ops.shape(hidden)[0], hidden.shape[1]
        size = -(-count // num_parts)  # n
        rest = num_parts * size - count  # of weight 0
        hidden = ops.pad(ops.cast(hidden, "float32"), [[0, rest], [0, 0]])
        hidden = ops.reshape(hidden, (num_parts, size, dim))
        column = ops.reshape(ops.pad(weights, [[0, rest]]), (num_parts, size, 1))
        rows = ops.cast(table, "float32")

        def add(carry, number):
            logits = _logits(hidden[number], rows, bias)
            every, shares = _log_sum_and_shares(logits)  # (n, 1), (n, V)
            to_rows = ops.matmul(ops.transpose(shares), column[number] * hidden[number])
            new = [ops.sum(column[number] * every), to_rows]  # (), (V, D)
            if bias is not None:
                to_bias = ops.matmul(ops.transpose(shares), column[number])
                new.append(to_bias[:, 0])  # (V,)
            to_hidden = column[number] * ops.matmul(shares, rows)  # (n, D)
            return [a + b for a, b in zip(carry, new)], [to_hidden]

        carry = [ops.zeros(()), ops.zeros_like(rows)]
        if bias is not None:
            carry.append(ops.zeros(bias.shape))
        (total, *to_others), (to_hidden,) = scan_chunks(add, carry, num_parts)
        to_hidden = ops.reshape(to_hidden, (-1, dim))[:count]

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return tuple(
                ops.cast(upstream * slope, array.dtype)
                for array, slope in zip(arrays, (to_hidden, *to_others))
            )

        return total, gradient

    return log_sum


def _log_sum_and_shares(logits):
    """log Σ_v e^{logit_v} `(n, 1)`, and softmax `(n, V)`."""
    if keras.backend.backend() != "tensorflow":
        every = ops.logsumexp(logits, axis=-1, keepdims=True)
        return every, ops.exp(logits - every)

    import tensorflow as tf

    # One operation makes the shares; the largest is e^{max - log sum}, at least 1 / V.
    shares = tf.nn.softmax(logits)
    most, share = (tf.reduce_max(x, -1, keepdims=True) for x in (logits, shares))
    return most - tf.math.log(share), shares


def _joined(chunks, overlap):
    """Chunks `(K, C, ...)` as rows `(V, ...)`."""
    shape = tuple(chunks.shape)
    rows = ops.reshape(chunks, (shape[0] * shape[1], *shape[2:]))
    if not overlap:
        return rows
    last = (shape[0] - 1) * shape[1]
    return ops.concatenate([rows[:last], rows[last + overlap :]], axis=0)


def _check_shapes(hidden, table, targets, bias):
    shapes = {"hidden": hidden, "table": table, "targets": targets, "bias": bias}
    shapes = {k: tuple(v.shape) for k, v in shapes.items() if v is not None}
    fits = (
        [len(shape) for shape in shapes.values()] == [2, 2, 1, 1][: len(shapes)]
        and None not in shapes["table"]
        and shapes["hidden"][1] == shapes["table"][1]
        and shapes.get("bias", shapes["table"])[0] == shapes["table"][0]
    )
    if not fits:
        raise ValueError(
            "`hidden`, `table`, `targets` and `bias` must be (N, D), (V, D), (N,) and "
            f"(V,) with a known V. Received: {shapes}"
        )
