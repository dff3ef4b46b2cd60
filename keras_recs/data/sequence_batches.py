"""What batches of sequences have in common."""

import abc

import keras
import numpy as np

from keras_recs.data.negatives.hard_negatives import HardNegatives
from keras_recs.data.negatives.item_sets import ItemSets


class SequenceBatches(keras.utils.PyDataset):
    """Batches of an epoch by their number; a subclass says what an example is.

    Args:
        sequences: list of int arrays: rows of the items' table by user, oldest first.
            Users with less than two items are left out.
        max_length: int. T.
        batch_size: int. Examples a batch.
        drop_remainder: bool. Leave the last, smaller batch out. Defaults to `False`.
        seed: int. Of the order and the draws. Defaults to `0`.
        columns: dict of input name to a list of int arrays that stand beside
            `sequences`, or `None`.
        sampler: sampler of negatives, or `None`.
        first_row: int. First row that is an item.

    Attributes:
        epoch: int. Which order comes next; it may be set.

    Raises:
        TypeError: for items that are no integers, and for `HardNegatives`.
        ValueError: if no user has two items, for rows that the table cannot have, for
            sizes that are not positive, and for columns of other lengths than the
            sequences.
    """

    def __init__(
        self,
        sequences,
        max_length,
        batch_size,
        drop_remainder=False,
        seed=0,
        columns=None,
        sampler=None,
        first_row=2,
    ):
        super().__init__()
        if isinstance(sampler, HardNegatives):
            raise TypeError(
                "`sampler` must draw without a model, and HardNegatives needs its "
                "scores: give the sampler of its pool here, and build the model with "
                "`NextItemModel(hard_negatives=…)` or set that attribute of it. "
                f"Received: sampler={sampler!r}"
            )
        for argument, value in (("max_length", max_length), ("batch_size", batch_size)):
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(
                    f"`{argument}` must be a positive integer. Received: "
                    f"{argument}={value}"
                )
        kept = [np.atleast_1d(sequence) for sequence in sequences]
        self.numbers = np.flatnonzero([len(sequence) > 1 for sequence in kept])  # (U,)
        kept = [kept[number] for number in self.numbers]
        if not kept:
            raise ValueError(
                "`sequences` must hold a user with two items at least. Received: "
                f"{len(sequences)} sequences"
            )
        self.epoch = 0
        self.max_length = max_length
        self.batch_size = batch_size
        self.drop_remainder = drop_remainder
        self.seed = seed
        lengths = np.array([len(sequence) for sequence in kept])
        self.ends = np.cumsum(lengths)  # (U,)
        self.starts = self.ends - lengths
        end = 2**31 if sampler is None else first_row + sampler.num_items
        self.items = _checked_rows(np.concatenate(kept), end)
        self._sampler = sampler
        self._first_row = first_row
        self.columns = {
            name: _joined(name, values, sequences)
            for name, values in (columns or {}).items()
        }
        self._ordered = -1  # the epoch whose order is at hand

    @property
    def num_examples(self):
        """Of an epoch: one a user."""
        return len(self.ends)

    @property
    def num_batches(self):
        """Of an epoch."""
        whole, rest = divmod(self.num_examples, self.batch_size)
        return whole + (rest > 0 and not self.drop_remainder)

    @property
    def has_whole_batches(self):
        """Whether all have `batch_size` rows, also the last one."""
        return self.drop_remainder or self.num_examples % self.batch_size == 0

    def draw_order(self, rng):
        """The numbers of an epoch's examples, in a drawn order: each user once."""
        return rng.permutation(len(self.ends))

    def draw_batches(self, rng):
        """The numbers of each batch's examples: an epoch's order, cut."""
        order = self.draw_order(rng)
        starts = range(0, self.num_batches * self.batch_size, self.batch_size)
        return [order[start : start + self.batch_size] for start in starts]

    @abc.abstractmethod
    def make_batch(self, examples, rng):
        """Inputs and targets of examples, given by their numbers."""

    def last_places(self, users, since=0, length=None):
        """Where the last T items of users are.

        Args:
            users: int array `(B,)`.
            since: int. Items at the start of each sequence that are not wanted.
            length: int. T. Defaults to `None`: `max_length`.

        Returns:
            int64 `(B, T)`, places in `items`, padded on the left with 0, and bool
            `(B, T)`, false there.
        """
        length = length or self.max_length
        places = self.ends[users, None] - np.arange(length, 0, -1)
        is_there = places >= self.starts[users, None] + since
        return places * is_there, is_there

    def own_items(self):
        """`ItemSets` of what each user has, numbered from 0; without unknown items."""
        is_item = self.items >= self._first_row
        counts = np.concatenate([[0], np.cumsum(is_item)])
        splits = counts[np.concatenate([[0], self.ends])]
        items = self.items[is_item] - self._first_row
        return ItemSets(items, splits, self._sampler.num_items)

    def columns_at(self, places, is_there):
        """What stands in the columns: dict of int32 `(B, T)`, 0 where nothing is."""
        return {
            name: np.where(is_there, values[places], 0)
            for name, values in self.columns.items()
        }

    def __getitem__(self, number):
        """A batch."""
        if self._ordered != self.epoch:
            rng = np.random.default_rng([self.seed, self.epoch])
            self._batches = self.draw_batches(rng)
            self._ordered = self.epoch
        rng = np.random.default_rng([self.seed, self.epoch, number])
        return self.make_batch(self._batches[number], rng)

    def in_order(self):
        """Batches of all examples by user, the same in every epoch."""
        for start in range(0, self.num_examples, self.batch_size):
            examples = np.arange(start, min(start + self.batch_size, self.num_examples))
            rng = np.random.default_rng([self.seed, start])
            yield self.make_batch(examples, rng)

    def on_epoch_end(self):
        """The next epoch has another order."""
        self.epoch += 1


def _checked_rows(items, end):
    """The items of all users as int32."""
    if items.ndim != 1 or items.dtype.kind not in "iu":
        raise TypeError(
            "`sequences` must hold integers, a list of each user: rows of the items' "
            "table. Items of another kind: number them, such as by "
            "`np.unique(items, return_inverse=True)` plus `first_row`. Received: "
            f"dtype={items.dtype}, shape {items.shape}"
        )
    if items.min() < 1 or items.max() >= end:
        raise ValueError(
            "`sequences` must be rows of the items' table, from 1 (leave 0, which is "
            f"padding, out) and before {end}. Received: from {items.min()} to "
            f"{items.max()}"
        )
    return items.astype("int32")


def _joined(name, values, sequences):
    """A column of all users that are kept, as `items` is."""
    lengths = [len(sequence) for sequence in sequences]
    if [len(value) for value in values] != lengths:
        raise ValueError(
            f"`columns` must stand beside `sequences`, a value an item: '{name}' has "
            f"other lengths. Received: {len(values)} users, {sum(map(len, values))} "
            f"values; there are {len(lengths)} users, {sum(lengths)} items"
        )
    kept = [np.asarray(value) for value in values if len(value) > 1]
    return np.concatenate(kept).astype("int32")
