"""The arrays of `next_item_batches`."""

import numpy as np

from keras_recs.data.sequence_batches import SequenceBatches
from keras_recs.data.sliding_windows import sliding_windows


class NextItemSequences(SequenceBatches):
    """Each place with the item that came next; see `next_item_batches`.

    Args:
        name: string. The model's input.
        sampler: sampler of negatives or `None`.
        num_negatives: int.
        first_row: int.
        lengths: ints. Defaults to `None`.
        stride: int. Defaults to `None`.
        **kwargs: of `SequenceBatches`.

    Raises:
        ValueError: for lengths that are out of range, and a stride that would lose
            pairs.
    """

    def __init__(
        self,
        name,
        sampler,
        num_negatives,
        first_row,
        lengths=None,
        stride=None,
        **kwargs,
    ):
        super().__init__(**kwargs, sampler=sampler, first_row=first_row)
        if any(not 1 <= length <= self.max_length for length in lengths or ()):
            raise ValueError(
                f"`lengths` must be from 1 to `max_length`, {self.max_length}. "
                f"Received: lengths={lengths}"
            )
        self._name = name
        self._num_negatives = num_negatives
        self._own = None if sampler is None else self.own_items()
        self._users = np.arange(len(self.ends))  # of each example
        if stride is not None:
            if stride > self.max_length:
                raise ValueError(
                    "`stride` must be at most `max_length`, or pairs would be lost. "
                    f"Received: stride={stride}, max_length={self.max_length}"
                )
            # Of T + 1 items, which are T pairs.
            self._users, self.starts, self.ends = sliding_windows(
                self.starts, self.ends, self.max_length + 1, stride
            )
        self._lengths = np.array(sorted({*(lengths or ()), self.max_length}))
        pairs = np.minimum(self.ends - self.starts - 1, self.max_length)
        self._kinds = np.searchsorted(self._lengths, pairs)  # (U,), of least length

    @property
    def num_batches(self):
        """Of an epoch."""
        counts = np.bincount(self._kinds, minlength=len(self._lengths))
        whole, rest = np.divmod(counts, self.batch_size)
        return int(whole.sum() + (not self.drop_remainder) * (rest > 0).sum())

    def draw_batches(self, rng):
        """Users of like lengths in each, in a drawn order."""
        order = self.draw_order(rng)
        batches = []
        for kind in range(len(self._lengths)):
            mine = order[self._kinds[order] == kind]
            starts = np.arange(self.batch_size, len(mine), self.batch_size)
            batches += [
                batch
                for batch in np.split(mine, starts)
                if len(batch) == self.batch_size
                or (len(batch) and not self.drop_remainder)
            ]
        if len(self._lengths) > 1:
            batches = [batches[i] for i in rng.permutation(len(batches))]
            # From the first two Keras takes which sizes may differ.
            kinds = np.array([self._kinds[batch[0]] for batch in batches])
            (others,) = np.nonzero(kinds != kinds[0])
            if len(others):
                i = others[0]
                batches[1], batches[i] = batches[i], batches[1]
        return batches

    def make_batch(self, examples, rng):
        """Inputs and targets of examples."""
        length = self._lengths[self._kinds[examples].max()]
        places, is_there = self.last_places(examples, 1, length)  # (B, T)
        targets = np.where(is_there, self.items[places], 0)
        before = places - is_there  # the events that the targets follow
        inputs = np.where(is_there, self.items[before], 0)
        y = {"next_item": targets}
        if self._sampler is not None:
            shape = (*targets.shape, self._num_negatives)
            drawn = self._sampler.draw(
                shape, rng, self._own.take(self._users[examples])
            )
            y["negatives"] = (drawn + self._first_row).astype("int32")  # (B, T, n)
        return {self._name: inputs, **self.columns_at(before, is_there)}, y
