"""Negatives that are no items of the user, beside records of histories."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_recs.data.history_feature import without_limit
from keras_recs.data.negatives.item_sets import ItemSets
from keras_recs.data.negatives.negative_sampler import NegativeSampler
from keras_recs.data.tfrecord_dataset import tfrecord_dataset
from keras_recs.schema import Schema, SequenceFeature

_RECORDS = 4096  # at a time


class UnseenNegatives:
    """Draws of a sampler that avoid what a user has; see `sequence_dataset`.

    Args:
        sampler: sampler of negatives.
        num_negatives: int. Draws a place.
        files: TFRecord files, as in `tfrecord_dataset`. With a group key they are read
            once, for what each user has.
        schema: a fitted `keras_recs.Schema`.
        feature: `SequenceFeature` of the items.
        on_damage: as in `tfrecord_dataset`. Defaults to `"fail"`.

    Raises:
        ValueError: for a sampler of another number of items than the schema has, for a
            number of draws that is not positive, and for a user with all items.
    """

    def __init__(
        self,
        sampler: NegativeSampler,
        num_negatives: int,
        files: Any,
        schema: Schema,
        feature: SequenceFeature,
        on_damage: str = "fail",
    ):
        table = schema.tables[feature.table_name]
        self._first_row = 1 + table.num_oov
        num_items = table.num_rows - self._first_row
        if sampler.num_items != num_items:
            raise ValueError(
                f"`sampler` must draw from the {num_items} items of feature "
                f"'{feature.name}'. Received: num_items={sampler.num_items}"
            )
        if not isinstance(num_negatives, (int, np.integer)) or num_negatives < 1:
            raise ValueError(
                "`num_negatives` must be a positive integer. Received: "
                f"num_negatives={num_negatives!r}"
            )
        self._sampler = sampler
        self._num_negatives = num_negatives
        self._users: dict[bytes, int] = {}
        self._own: ItemSets | None = None
        if schema.group_key is not None:
            self._own = self._read(files, schema, feature, on_damage)

    def draw(self, users, draws, length: int):
        """Negatives of the users of a batch.

        Args:
            users: string tensor of group keys `(B,)`; without them all rows of each
                user, int `(B, S)`, 0 where there is none.
            draws: int64 tensor of two numbers that say what is drawn.
            length: int. T.

        Returns:
            int32 tensor `(B, T, n)`, rows of the items' table.
        """
        import tensorflow as tf

        shape = (length, self._num_negatives)

        @tf.autograph.experimental.do_not_convert
        def drawn(users, draws):
            own = self._own_of(users)
            rng = np.random.default_rng(draws)
            ids = self._sampler.draw((len(own), *shape), rng, own)
            return (ids + self._first_row).astype("int32")

        found = tf.numpy_function(drawn, [users, draws], tf.int32, stateful=False)
        return tf.ensure_shape(found, (None, *shape))

    def _own_of(self, users) -> ItemSets:
        if self._own is not None:
            return self._own.take([self._users[user] for user in users.tolist()])
        is_item = users >= self._first_row
        splits = np.concatenate([[0], np.cumsum(is_item.sum(1))])
        ids = users[is_item] - self._first_row
        return ItemSets(ids, splits, self._sampler.num_items)

    def _read(self, files, schema, feature, on_damage) -> ItemSets:
        """What each user has; fills `_users`."""
        wider = without_limit(feature)
        read = [wider if f.name == feature.name else f for f in schema.features]
        reading = dataclasses.replace(schema, features=tuple(read))
        options = {"shuffle": False, "with_group": True, "on_damage": on_damage}
        batches = tfrecord_dataset(files, reading, _RECORDS, **options)
        users, items = [np.zeros(0, "int64")], [np.zeros(0, "int64")]
        known = self._users
        for inputs, *_, keys in batches.as_numpy_iterator():
            numbers = [known.setdefault(key, len(known)) for key in keys.tolist()]
            rows = inputs[feature.name]
            is_item = rows >= self._first_row
            users.append(np.repeat(numbers, is_item.sum(1)))
            items.append(rows[is_item] - self._first_row)
        owners = np.concatenate(users)
        order = np.argsort(owners, kind="stable")
        counts = np.bincount(owners, minlength=len(known))
        splits = np.concatenate([[0], np.cumsum(counts)])
        sets = ItemSets(np.concatenate(items)[order], splits, self._sampler.num_items)
        full = np.flatnonzero(sets.sizes == sets.num_items)
        if len(full):
            raise ValueError(
                f"`sampler` must have an item to draw for each user. Received: "
                f"{list(known)[full[0]]!r}, whose histories have all {sets.num_items} "
                "items. Leave such users out, or the `sampler`."
            )
        return sets
