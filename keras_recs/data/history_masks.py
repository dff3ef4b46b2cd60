"""Which events of a history are hidden from a model."""

from __future__ import annotations

from collections.abc import Callable


def history_masks(length, mask_row, mask_rate, max_masked, last_rate) -> Callable:
    """Makes a function that hides events, as `sequence_dataset` says.

    Args:
        length: int. T.
        mask_row: int. Row of the mask.
        mask_rate: float. Share of the events that are masked.
        max_masked: int or `None`. Masks at most.
        last_rate: float. As in `masked_item_batches`.

    Returns:
        Function of int rows `(B, T)` and two numbers, which are the draws, to rows with
        masks, bool `(B, T)`, true where one is, and the targets of `sequence_dataset`.

    Raises:
        ValueError: for rates and counts out of range.
    """
    import tensorflow as tf

    if not (0 < mask_rate <= 1 and 0 <= last_rate <= 1):
        raise ValueError(
            "`mask_rate` must be above 0 and at most 1, `last_rate` from 0 to 1. "
            f"Received: mask_rate={mask_rate}, last_rate={last_rate}"
        )
    if max_masked is not None and max_masked < 1:
        raise ValueError(
            "`max_masked` must be a positive integer or None. Received: "
            f"max_masked={max_masked}"
        )

    def count(lengths):
        wanted = tf.cast(tf.round(mask_rate * tf.cast(lengths, "float32")), tf.int32)
        return tf.clip_by_value(wanted, 1, min(max_masked or length, length))

    most = int(count(length))  # M

    def mask(rows, seed):
        draws = tf.random.stateless_uniform((tf.shape(rows)[0], length + 1), seed)
        is_event = rows != 0  # (B, T)
        lengths = tf.reduce_sum(tf.cast(is_event, tf.int32), axis=1)
        is_last = draws[:, -1] < last_rate / (1 + last_rate)  # (B,)
        counts = tf.where(is_last, 1, count(lengths))
        counts = tf.where(lengths > 1, counts, 0)  # alone it has no context
        # The first of an order in which padding is last, and for the last event it.
        keys = tf.where(is_event, draws[:, :-1], 2.0)
        newest = tf.where(is_last, -1.0, keys[:, -1])[:, None]
        keys = tf.concat([keys[:, :-1], newest], axis=1)
        chosen = tf.argsort(keys, axis=1)[:, :most]  # (B, M)
        is_masked = tf.range(most) < counts[:, None]
        targets = tf.where(is_masked, tf.gather(rows, chosen, batch_dims=1), 0)
        indices = tf.where(is_masked)  # (N, 2): example, number
        places = tf.cast(tf.gather_nd(chosen, indices), tf.int64)
        indices = tf.stack([indices[:, 0], places], axis=1)
        masks = tf.fill(tf.shape(places), tf.cast(mask_row, rows.dtype))
        hidden = tf.scatter_nd(
            indices, tf.ones_like(places) > 0, tf.shape(is_event, tf.int64)
        )
        rows = tf.tensor_scatter_nd_update(rows, indices, masks)
        places = tf.where(is_masked, chosen, 0)
        return rows, hidden, {"next_item": targets, "places": places}

    return mask
