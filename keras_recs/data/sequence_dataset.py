"""TFRecords of histories to batches of what came next."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

from keras_recs.data.tfrecord_dataset import tfrecord_dataset
from keras_recs.schema import MultiValuedFeature, Schema, SequenceFeature


def sequence_dataset(
    files: str | os.PathLike | Sequence[str | os.PathLike],
    schema: Schema,
    batch_size: int,
    *,
    items: str | None = None,
    mask_row: int | None = None,
    mask_rate: float = 0.2,
    max_masked: int | None = None,
    last_rate: float = 0.1,
    with_seen: bool = False,
    seed: int = 0,
    **options: Any,
):
    """Batches for a `NextItemModel`, of one history an example.

    Of each history the last `max_length + 1` events are read, oldest first, and each
    but the last has the next one as its target; the rest is padding, on the left.
    `data.write_histories` makes such records, with windows over long histories too. An
    event without an id is left out; one that the vocabulary does not have is row 1, of
    unknown items, which is an input but never learned as a target. A history of one
    event has no target.

    With `mask_row` the last `max_length` events are read and some of them masked, drawn
    anew in each epoch, as `masked_item_batches` does it; a share of `last_rate` in
    `1 + last_rate` of the examples, drawn one by one, has its last event masked alone.

    Args:
        files: as in `tfrecord_dataset`.
        schema: a fitted `keras_recs.Schema` with a sequence feature, padded on the
            left.
        batch_size: int. Histories a batch.
        items: string. Name of the feature. Defaults to `None`: the only one.
        mask_row: int. Row of the mask: `model.mask_row`. Defaults to `None`: nothing is
            masked.
        mask_rate: float. Share of the events that are masked. Defaults to `0.2`.
        max_masked: int. Masks at most. Defaults to `None`: no limit.
        last_rate: float. As in `masked_item_batches`. Defaults to `0.1`.
        with_seen: bool. Add `"seen"`, all events but the last, which evaluation leaves
            out as candidates. Defaults to `False`.
        seed: int. Of the order and the draws. Defaults to `0`.
        **options: further ones of `tfrecord_dataset`.

    Returns:
        `tf.data.Dataset` of known cardinality of `({items: (B, T)}, {"next_item":
        (B, T)})` in int32, with `"seen"` `(B, S)`; masked `({items: (B, T)},
        {"next_item": (B, M), "places": (B, M)})`.

    Raises:
        ValueError: for a schema without such a feature, rates and counts out of range,
            `with_seen` beside a mask, and as `tfrecord_dataset`.
    """
    import tensorflow as tf

    feature = _feature(schema, items)
    if mask_row is not None and with_seen:
        raise ValueError(
            "`with_seen` is for evaluation, which asks for what comes next: leave out "
            f"`mask_row`. Received: with_seen=True, mask_row={mask_row}"
        )
    length = feature.max_length if mask_row is not None else feature.max_length + 1
    wider: Any = dataclasses.replace(feature, max_length=length)
    if with_seen:  # all of it, at the width of the batch
        wider = dataclasses.asdict(feature) | {"max_length": None}
        del wider["padding"]
        wider = MultiValuedFeature(**wider)
    features = tuple(wider if f.name == feature.name else f for f in schema.features)
    reading = dataclasses.replace(schema, features=features)
    dataset = tfrecord_dataset(files, reading, batch_size, seed=seed, **options)

    def shifted(inputs, *_):
        rows, y = inputs[feature.name], {}
        if with_seen:
            rows, y["seen"] = _last_and_seen(rows, length)
        is_event = rows[:, :-1] != 0  # (B, T)
        y["next_item"] = tf.where(is_event, rows[:, 1:], 0)
        return {feature.name: rows[:, :-1]}, y

    def masked(batch, draws):
        rows, y = mask(batch[0][feature.name], draws)
        return {feature.name: rows}, y

    if mask_row is not None:
        mask = _masking(length, mask_row, mask_rate, max_masked, last_rate)
        draws = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
        dataset = tf.data.Dataset.zip(dataset, draws.batch(2))
    to_batch = shifted if mask_row is None else masked
    dataset = dataset.map(
        to_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    return dataset.prefetch(4)


def _feature(schema: Schema, items: str | None) -> SequenceFeature:
    found = {feature.name: feature for feature in schema.sequence_features}
    if items is None and len(found) == 1:
        (items,) = found
    if items not in found or found[items].padding != "left":
        raise ValueError(
            "`items` must name a sequence feature with `padding='left'`. Received: "
            f"items={items!r}; sequence features are "
            f"{ {name: feature.padding for name, feature in found.items()} }"
        )
    return found[items]


def _last_and_seen(rows, length: int):
    """The last rows of lists that are filled up on the right, and all but the last."""
    import tensorflow as tf

    lengths = tf.math.count_nonzero(rows, axis=1)  # (B,)
    newest_first = tf.reverse_sequence(rows, lengths, seq_axis=1)
    room = tf.maximum(0, length - tf.shape(rows)[1])
    padded = tf.pad(newest_first, [[0, 0], [0, room]])
    last = tf.reverse(padded[:, :length], [1])
    last = tf.ensure_shape(last, (None, length))
    return last, newest_first[:, 1:]


def _masking(length, mask_row, mask_rate, max_masked, last_rate) -> Callable:
    """A function of rows `(B, T)` and two numbers, which are the draws."""
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
        rows = tf.tensor_scatter_nd_update(rows, indices, masks)
        places = tf.where(is_masked, chosen, 0)
        return rows, {"next_item": targets, "places": places}

    return mask
