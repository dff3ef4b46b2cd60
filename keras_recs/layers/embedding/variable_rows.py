"""Reads and writes a few rows of a Keras variable, and never the rest.

On TensorFlow these are resource operations on the variable itself: no step reads or
copies the whole variable. Inside a replica of a `tf.distribute` strategy they touch
that replica's copy alone. On the JAX and torch backends they are functional updates.
"""

import keras
from keras import ops

_OUTSIDE = 2**31 - 1


def positions_of(mask):
    """Positions at which a mask is true.

    Args:
        mask: bool `(n,)`.

    Returns:
        int32 `(m,)`. On JAX, whose shapes are static, all n positions: take the mask
        there too.
    """
    if keras.backend.backend() == "jax":
        return ops.arange(mask.shape[0], dtype="int32")
    return ops.cast(ops.nonzero(mask)[0], "int32")


def values_at(values, positions):
    """Values at some positions; `ops.take` would first look for negative ones.

    Args:
        values: tensor `(n, …)`.
        positions: int32 `(m,)`, as `positions_of` gives them.

    Returns:
        Tensor `(m, …)`.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(values, positions)
    return ops.take(values, positions, axis=0)


def without_negatives(rows, *values):
    """Leaves out what belongs to a negative row.

    Args:
        rows: int `(n,)`.
        *values: tensors `(n, …)`.

    Returns:
        Tuple of `rows` and the values at the rows that are not negative. On JAX all n,
        with rows outside any variable, at which an update does nothing.
    """
    if keras.backend.backend() == "jax":
        return (ops.where(rows < 0, _OUTSIDE, rows), *values)
    at = positions_of(rows >= 0)
    return tuple(values_at(part, at) for part in (rows, *values))


def gather_rows_of(variable, rows):
    """Rows of a variable.

    Args:
        variable: Keras variable.
        rows: int tensor of any shape, each within the variable.

    Returns:
        Tensor of the shape of `rows` plus that of a row.
    """
    if _is_resource(variable):
        import tensorflow as tf

        return tf.raw_ops.ResourceGather(
            resource=variable.value.handle, indices=rows, dtype=variable.value.dtype
        )
    return ops.take(variable, rows, axis=0)


def update_rows(variable, rows, values):
    """Writes rows of a variable; where one repeats, the last wins.

    Args:
        variable: Keras variable.
        rows: int `(n,)`, as `without_negatives` gives them, or `(n, rank)` for single
            elements.
        values: tensor of the shape of what is written, or a scalar for all.
    """
    values = ops.cast(values, variable.dtype)
    if not _is_resource(variable):
        indices, values = _expanded(variable, rows, values)
        variable.assign(ops.scatter_update(variable, indices, values))
        return
    import tensorflow as tf

    handle = variable.value.handle
    if len(rows.shape) == 1:
        tf.raw_ops.ResourceScatterUpdate(resource=handle, indices=rows, updates=values)
    else:
        tf.raw_ops.ResourceScatterNdUpdate(ref=handle, indices=rows, updates=values)


def add_rows(variable, rows, values):
    """Adds to rows of a variable, as often as a row repeats.

    Args:
        variable: Keras variable.
        rows: int `(n,)`, as `without_negatives` gives them.
        values: tensor of the shape of what is added, or a scalar for all, which is
            several times faster.
    """
    values = ops.cast(values, variable.dtype)
    if not _is_resource(variable):
        indices, values = _expanded(variable, rows, values)
        variable.assign(variable + ops.scatter(indices, values, variable.shape))
        return
    import tensorflow as tf

    tf.raw_ops.ResourceScatterAdd(
        resource=variable.value.handle, indices=rows, updates=values
    )


def claim_rows(variable, rows):
    """Picks one of the positions that name a row; on TensorFlow it is the first.

    It writes numbers below −1 to the rows that are claimed, which the caller replaces.

    Args:
        variable: Keras variable of ints `(R,)` that holds −1 at these rows.
        rows: int `(n,)`; a negative one takes no part.

    Returns:
        bool `(n,)`: whether this position has the row.
    """
    size = ops.shape(rows)[0]
    tickets = ops.cast(ops.arange(size, dtype="int32") - (size + 1), variable.dtype)
    wanted, numbers = without_negatives(rows, tickets)
    if _is_resource(variable):
        import tensorflow as tf

        # The minimum depends on no order of the writes. XLA lacks this operation and
        # says so: what `positions_of` gives it would compile to wrong results.
        tf.raw_ops.ResourceScatterNdMin(
            ref=variable.value.handle,
            indices=wanted[:, None],
            updates=numbers,
            name="do_not_train_this_layer_with_jit_compile",
        )
    else:
        update_rows(variable, wanted, numbers)
    found = gather_rows_of(variable, ops.maximum(rows, 0))
    return ops.logical_and(rows >= 0, found == tickets)


def _is_resource(variable):
    """Whether the variable is one resource here.

    It is not on other backends, where Keras calls TensorFlow without state, and for a
    mirrored variable outside a replica.
    """
    try:
        return hasattr(variable.value, "handle")
    except ValueError:
        return False


def _expanded(variable, rows, values):
    """Indices `(n, k)` and full values, as the functional operations want them."""
    indices = rows if len(rows.shape) == 2 else ops.expand_dims(rows, -1)
    row_shape = tuple(variable.shape)[indices.shape[-1] :]
    return indices, ops.broadcast_to(values, (ops.shape(indices)[0], *row_shape))
