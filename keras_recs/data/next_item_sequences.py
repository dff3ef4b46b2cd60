"""The arrays of `next_item_batches`."""

import numpy as np

from keras_recs.data.negatives.log_expected import log_expected
from keras_recs.data.sequence_batches import SequenceBatches
from keras_recs.data.sliding_windows import sliding_windows


class NextItemSequences(SequenceBatches):
    """Each place with the item that came next; see `next_item_batches`.

    Args:
        name: string. The model's input. Defaults to `"items"`.
        sampler: sampler of negatives. Defaults to `None`.
        num_negatives: int. Defaults to `1`.
        first_row: int. Defaults to `2`.
        lengths: ints. Defaults to `None`.
        stride: int. Defaults to `None`.
        shared: bool. Defaults to `False`.
        correct: bool. Defaults to `False`.
        negative_weights: function. Defaults to `None`.
        with_seen: bool. Defaults to `False`.
        **kwargs: of `SequenceBatches`.

    Raises:
        ValueError: for lengths that are out of range, a stride that would lose pairs,
            and what needs a sampler without one.
    """

    def __init__(
        self,
        name="items",
        sampler=None,
        num_negatives=1,
        first_row=2,
        lengths=None,
        stride=None,
        shared=False,
        correct=False,
        negative_weights=None,
        with_seen=False,
        **kwargs,
    ):
        super().__init__(**kwargs, sampler=sampler, first_row=first_row)
        if any(not 1 <= length <= self.max_length for length in lengths or ()):
            raise ValueError(
                f"`lengths` must be from 1 to `max_length`, {self.max_length}. "
                f"Received: lengths={lengths}"
            )
        if sampler is None and (shared or correct or negative_weights is not None):
            raise ValueError(
                "`shared`, `correct` and `negative_weights` need a `sampler`, whose "
                f"draws they are about. Received: shared={shared}, correct={correct}, "
                f"negative_weights={negative_weights}, sampler=None"
            )
        self._name = name
        self._num_negatives = num_negatives
        self._own = None if sampler is None else self.own_items()
        self._shared = shared
        self._negative_weights = negative_weights
        self._users = np.arange(len(self.ends))  # of each example
        self._firsts = self.starts  # of each user
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
        self._num_seen = None
        if with_seen:
            self._num_seen = int((self.ends - self._firsts[self._users]).max()) - 1
        self._logs = self._log_counts(pairs) if correct else None

    @property
    def has_whole_batches(self):
        """Whether all have `batch_size` rows, also the last one of each length."""
        rest = np.bincount(self._kinds) % self.batch_size
        return self.drop_remainder or not rest.any()

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
        if self._num_seen is not None:
            seen = self.ends[examples, None] - 1 - np.arange(self._num_seen, 0, -1)
            is_seen = seen >= self._firsts[self._users[examples], None]  # (B, S)
            y["seen"] = np.where(is_seen, self.items[seen * is_seen], 0)
        if self._sampler is not None:
            y |= self._negatives(self._users[examples], targets, rng)
        return {self._name: inputs, **self.columns_at(before, is_there)}, y

    def _negatives(self, users, targets, rng):
        """Draws for targets `(B, T)` of users, with what belongs to them."""
        shape = (*targets.shape, self._num_negatives)
        if self._shared:
            drawn = self._sampler.draw((self._num_negatives,), rng)  # (n,)
        else:
            drawn = self._sampler.draw(shape, rng, self._own.take(users))  # (B, T, n)
        negatives = (drawn + self._first_row).astype("int32")
        y = {"negatives": negatives}
        if self._logs is not None:
            own = targets.reshape(-1) if self._shared else targets[..., None]
            rows = np.concatenate([own, negatives], -1)
            y["log_counts"] = self._logs[rows]
        if self._negative_weights is not None:
            items = np.maximum(targets - self._first_row, -1)
            weights = self._negative_weights(self.numbers[users], items, drawn)
            weights = np.asarray(weights, "float32")
            if weights.shape not in (shape, drawn.shape) or not (weights >= 0).all():
                raise ValueError(
                    f"`negative_weights` must give weights {shape}"
                    f"{f' or {drawn.shape}' if self._shared else ''} of at least 0. "
                    f"Received: shape {weights.shape}, the least {weights.min()}"
                )
            y["negative_weights"] = weights
        return y

    def _log_counts(self, pairs):
        """By row: among the draws of a place, or among all candidates of a batch."""
        counts = np.zeros(self._first_row + self._sampler.num_items)
        if self._shared:  # each place of `items` is the target of so many examples
            changes = np.zeros(len(self.items) + 1, "int64")
            np.add.at(changes, self.ends - pairs, 1)
            np.add.at(changes, self.ends, -1)
            times = np.cumsum(changes)[:-1]
            counts = np.bincount(self.items, times, len(counts)) / self.num_batches
        return log_expected(counts, self._sampler, self._num_negatives, self._first_row)
