"""The arrays of `next_item_batches`."""

import keras
import numpy as np

from keras_recs.data.negatives.item_sets import ItemSets


class SequenceBatches(keras.utils.PyDataset):
    """Batches of an epoch by their number; see `next_item_batches`.

    Args:
        sequences: list of int64 arrays of two items at least.
        max_length: int.
        batch_size: int.
        name: string.
        sampler: sampler of negatives or `None`.
        num_negatives: int.
        first_row: int.
        drop_remainder: bool.
        seed: int.

    Attributes:
        epoch: int. Which order comes next; it may be set.
    """

    def __init__(
        self,
        sequences,
        max_length,
        batch_size,
        name,
        sampler,
        num_negatives,
        first_row,
        drop_remainder,
        seed,
    ):
        super().__init__()
        self.epoch = 0
        self._ordered = -1  # the epoch whose order is at hand
        self._max_length = max_length
        self._batch_size = batch_size
        self._name = name
        self._sampler = sampler
        self._num_negatives = num_negatives
        self._first_row = first_row
        self._drop_remainder = drop_remainder
        self._seed = seed
        lengths = np.array([len(sequence) for sequence in sequences])
        self._ends = np.cumsum(lengths)
        self._starts = self._ends - lengths
        self._items = np.concatenate(sequences).astype("int32")
        self._own = None
        if sampler is not None:
            splits = np.concatenate([[0], self._ends])
            ids = self._items - first_row
            self._own = ItemSets(ids, splits, sampler.num_items)

    @property
    def num_batches(self):
        """Of an epoch."""
        whole, rest = divmod(len(self._ends), self._batch_size)
        return whole + (rest > 0 and not self._drop_remainder)

    def __getitem__(self, number):
        """A batch."""
        if self._ordered != self.epoch:
            rng = np.random.default_rng([self._seed, self.epoch])
            self._order = rng.permutation(len(self._ends))
            self._ordered = self.epoch
        chosen = slice(number * self._batch_size, (number + 1) * self._batch_size)
        users = self._order[chosen]
        places = self._ends[users, None] - np.arange(self._max_length, 0, -1)  # (B, T)
        is_there = places > self._starts[users, None]
        targets = np.where(is_there, self._items[places * is_there], 0)
        inputs = np.where(is_there, self._items[places * is_there - is_there], 0)
        y = {"next_item": targets}
        if self._sampler is not None:
            shape = (*targets.shape, self._num_negatives)
            rng = np.random.default_rng([self._seed, self.epoch, number])
            drawn = self._sampler.draw(shape, rng, self._own.take(users))
            y["negatives"] = (drawn + self._first_row).astype("int32")  # (B, T, n)
        return {self._name: inputs}, y

    def on_epoch_end(self):
        """The next epoch has another order."""
        self.epoch += 1
