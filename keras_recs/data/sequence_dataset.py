"""TFRecords of histories to batches of what came next."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from keras_recs.data.history_feature import history_feature, without_limit
from keras_recs.data.history_masks import history_masks
from keras_recs.data.negatives.negative_sampler import NegativeSampler
from keras_recs.data.tfrecord_dataset import tfrecord_dataset
from keras_recs.data.unseen_negatives import UnseenNegatives
from keras_recs.schema import Schema


def sequence_dataset(
    files: str | os.PathLike | Sequence[str | os.PathLike],
    schema: Schema,
    batch_size: int,
    *,
    items: str | None = None,
    features: Sequence[str] = (),
    mask_row: int | None = None,
    mask_rate: float = 0.2,
    max_masked: int | None = None,
    last_rate: float = 0.1,
    sampler: NegativeSampler | None = None,
    num_negatives: int = 1,
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

    With a `sampler` each place has negatives beside it, drawn anew in each epoch, none
    of which is an item of the user: of any record in `files` with the same group key,
    as windows over one history are, and before its last `max_length` events too. What
    each user has is read once and kept, eight bytes an item; in a schema without a
    group key each record is a user.

    Args:
        files: as in `tfrecord_dataset`.
        schema: a fitted `keras_recs.Schema` with a sequence feature, padded on the
            left.
        batch_size: int. Histories a batch.
        items: string. Name of the feature. Defaults to `None`: the only one beside
            `features`.
        features: names of sequence features that tell more of the same events, as in
            `ItemEvents`, with as many values as there are events, or none. A masked
            event has none. Defaults to none.
        mask_row: int. Row of the mask: `model.mask_row`. Defaults to `None`: nothing is
            masked.
        mask_rate: float. Share of the events that are masked. Defaults to `0.2`.
        max_masked: int. Masks at most. Defaults to `None`: no limit.
        last_rate: float. As in `masked_item_batches`. Defaults to `0.1`.
        sampler: of `keras_recs.data`, such as `UniformSampler(num_items)`, whose ids
            count from the first item. Defaults to `None`: the model draws by itself, or
            needs none.
        num_negatives: int. Draws a place. Defaults to `1`.
        with_seen: bool. Add `"seen"`, all events but the last, which evaluation leaves
            out as candidates. Defaults to `False`.
        seed: int. Of the order and the draws. Defaults to `0`.
        **options: further ones of `tfrecord_dataset`.

    Returns:
        `tf.data.Dataset` of known cardinality of `({items: (B, T), …}, {"next_item":
        (B, T)})` in int32, with a sampler also `"negatives"` `(B, T, n)`, with
        `"seen"` `(B, S)`; masked `({items: (B, T), …}, {"next_item": (B, M), "places":
        (B, M)})`.

    Raises:
        ValueError: for a schema without such features, rates and counts out of range,
            `with_seen` or a sampler beside a mask, a sampler of another catalogue, a
            user who has all items, and as `tfrecord_dataset`.
        tf.errors.InvalidArgumentError: while reading, for a feature with other than as
            many values as there are events.
    """
    import tensorflow as tf

    feature = history_feature(schema, items, features)
    others = [schema[name] for name in features]
    beside = {"with_seen": with_seen, "sampler": sampler}
    if mask_row is not None and any(beside.values()):
        raise ValueError(
            "`with_seen` and `sampler` are for what comes next: leave out `mask_row`. "
            f"Received: {', '.join(f'{k}={v}' for k, v in beside.items() if v)}, "
            f"mask_row={mask_row}"
        )
    length = feature.max_length if mask_row is not None else feature.max_length + 1
    wider: Any = dataclasses.replace(feature, max_length=length)
    reads_all = with_seen or (sampler is not None and schema.group_key is None)
    if reads_all:  # at the width of the batch
        wider = without_limit(feature)
    replaced: dict[str, Any] = {
        f.name: dataclasses.replace(f, max_length=length)
        for f in schema.sequence_features
        if f.name in features
    }
    replaced[feature.name] = wider
    read = tuple(replaced.get(f.name, f) for f in schema.features)
    reading = dataclasses.replace(schema, features=read)
    negatives = None
    if sampler is not None:
        options["with_group"] = schema.group_key is not None
        on_damage = options.get("on_damage", "fail")
        negatives = UnseenNegatives(
            sampler, num_negatives, files, schema, feature, on_damage
        )
    dataset = tfrecord_dataset(files, reading, batch_size, seed=seed, **options)

    def shifted(batch, draws=None):
        rows, y = batch[0][feature.name], {}
        whole = rows
        if reads_all:
            rows, seen = _last_and_seen(rows, length)
        if with_seen:
            y["seen"] = seen
        is_event = rows[:, :-1] != 0  # (B, T)
        y["next_item"] = tf.where(is_event, rows[:, 1:], 0)
        if negatives is not None:
            users = batch[-1] if schema.group_key is not None else whole
            y["negatives"] = negatives.draw(users, draws, length - 1)  # (B, T, n)
        told = {f.name: _aligned(batch[0], f, rows)[:, :-1] for f in others}
        return {feature.name: rows[:, :-1], **told}, y

    def masked(batch, draws):
        rows, hidden, y = mask(batch[0][feature.name], draws)
        told = {f.name: _aligned(batch[0], f, rows) for f in others}
        told = {name: tf.where(hidden, 0, values) for name, values in told.items()}
        return {feature.name: rows, **told}, y

    plain = tf.autograph.experimental.do_not_convert
    if mask_row is not None:
        mask = history_masks(length, mask_row, mask_rate, max_masked, last_rate)
    if mask_row is not None or negatives is not None:
        draws = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
        dataset = tf.data.Dataset.zip(dataset, draws.batch(2))
    else:
        dataset = dataset.map(plain(lambda *batch: (batch,)))
    to_batch = shifted if mask_row is None else masked
    dataset = dataset.map(
        plain(to_batch), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    return dataset.prefetch(4)


def _aligned(inputs, feature, rows):
    """Rows `(B, T)` of a further feature, in a graph that fails where they shift."""
    import tensorflow as tf

    values = inputs[feature.name]
    is_told, is_event = values != 0, rows != 0
    fits = tf.reduce_all(is_told == is_event, axis=1)  # (B,)
    fits = tf.logical_or(fits, tf.logical_not(tf.reduce_any(is_told, axis=1)))
    check = tf.debugging.Assert(
        tf.reduce_all(fits),
        [
            f"Feature {feature.name} must have a value for each event of a history, or "
            "none at all. It has others in these rows of a batch:",
            tf.where(tf.logical_not(fits))[:, 0],
        ],
    )
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(values)


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
