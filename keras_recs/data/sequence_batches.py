"""What batches of sequences have in common."""

import abc

import keras
import numpy as np


class SequenceBatches(keras.utils.PyDataset):
    """Batches of an epoch by their number; a subclass says what an example is.

    Args:
        sequences: list of int arrays: rows of the items' table by user, oldest first.
            Users with less than two items are left out.
        max_length: int. T.
        batch_size: int. Examples a batch.
        drop_remainder: bool. Leave the last, smaller batch out.
        seed: int. Of the order and the draws.

    Attributes:
        epoch: int. Which order comes next; it may be set.

    Raises:
        ValueError: if no user has two items, and for sizes that are not positive.
    """

    def __init__(self, sequences, max_length, batch_size, drop_remainder, seed):
        super().__init__()
        for argument, value in (("max_length", max_length), ("batch_size", batch_size)):
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(
                    f"`{argument}` must be a positive integer. Received: "
                    f"{argument}={value}"
                )
        kept = [np.asarray(sequence, "int64") for sequence in sequences]
        kept = [sequence for sequence in kept if len(sequence) > 1]
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
        self.items = np.concatenate(kept).astype("int32")
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

    def draw_order(self, rng):
        """The numbers of an epoch's examples, in a drawn order: each user once."""
        return rng.permutation(len(self.ends))

    @abc.abstractmethod
    def make_batch(self, examples, rng):
        """Inputs and targets of examples, given by their numbers."""

    def last_places(self, users, since=0):
        """Where the last T items of users are.

        Args:
            users: int array `(B,)`.
            since: int. Items at the start of each sequence that are not wanted.

        Returns:
            int64 `(B, T)`, places in `items`, padded on the left with 0, and bool
            `(B, T)`, false there.
        """
        places = self.ends[users, None] - np.arange(self.max_length, 0, -1)
        is_there = places >= self.starts[users, None] + since
        return places * is_there, is_there

    def __getitem__(self, number):
        """A batch."""
        if self._ordered != self.epoch:
            rng = np.random.default_rng([self.seed, self.epoch])
            self._order = self.draw_order(rng)
            self._ordered = self.epoch
        chosen = slice(number * self.batch_size, (number + 1) * self.batch_size)
        rng = np.random.default_rng([self.seed, self.epoch, number])
        return self.make_batch(self._order[chosen], rng)

    def on_epoch_end(self):
        """The next epoch has another order."""
        self.epoch += 1
