"""The arrays of `next_item_batches`."""

import numpy as np

from keras_recs.data.negatives.item_sets import ItemSets
from keras_recs.data.sequence_batches import SequenceBatches
from keras_recs.data.sliding_windows import sliding_windows


class NextItemSequences(SequenceBatches):
    """Each place with the item that came next; see `next_item_batches`.

    Args:
        name: string. The model's input.
        sampler: sampler of negatives or `None`.
        num_negatives: int.
        first_row: int.
        stride: int or `None`.
        **kwargs: of `SequenceBatches`.
    """

    def __init__(self, name, sampler, num_negatives, first_row, stride, **kwargs):
        super().__init__(**kwargs)
        self._name = name
        self._sampler = sampler
        self._num_negatives = num_negatives
        self._first_row = first_row
        self._own = None
        if sampler is not None:
            splits = np.concatenate([[0], self.ends])
            ids = self.items - first_row
            self._own = ItemSets(ids, splits, sampler.num_items)
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

    def make_batch(self, examples, rng):
        """Inputs and targets of examples."""
        places, is_there = self.last_places(examples, since=1)  # (B, T)
        targets = np.where(is_there, self.items[places], 0)
        inputs = np.where(is_there, self.items[places - is_there], 0)
        y = {"next_item": targets}
        if self._sampler is not None:
            shape = (*targets.shape, self._num_negatives)
            drawn = self._sampler.draw(
                shape, rng, self._own.take(self._users[examples])
            )
            y["negatives"] = (drawn + self._first_row).astype("int32")  # (B, T, n)
        return {self._name: inputs}, y
