"""The arrays of `session_batches`."""

import heapq

import numpy as np

from keras_recs.data.negatives.log_expected import log_expected
from keras_recs.data.sequence_batches import SequenceBatches


class SessionSequences(SequenceBatches):
    """Sessions side by side, each slot from one to the next; see `session_batches`.

    Args:
        name: string. The model's input.
        sampler: sampler of negatives or `None`.
        num_negatives: int.
        correct: bool.
        first_row: int.
        **kwargs: of `SequenceBatches`: `max_length` events of `batch_size` slots.
    """

    def __init__(self, name, sampler, num_negatives, correct, first_row, **kwargs):
        super().__init__(
            **kwargs, drop_remainder=False, sampler=sampler, first_row=first_row
        )
        if correct and sampler is None:
            raise ValueError(
                "`correct` needs a `sampler`, whose draws it is about. Received: "
                f"correct={correct}, sampler=None"
            )
        self._name = name
        self._num_negatives = num_negatives
        self._is_first = np.zeros(len(self.items), bool)
        self._is_first[self.starts] = True
        # Longest first to the emptiest slot: they end at about the same time.
        sizes = self.ends - self.starts - 1  # pairs
        self._by_size = np.argsort(-sizes, kind="stable")
        self._sizes = sizes[self._by_size]
        self._slots = _emptiest_slots(self._sizes, self.batch_size)
        loads = np.bincount(self._slots, self._sizes, self.batch_size)
        self._columns = int(loads.max())
        self._layout = (-1, None)
        self._log_counts = self._expected() if correct else None

    @property
    def num_examples(self):
        """Of an epoch: pairs of an item and the next one."""
        return int(self._sizes.sum())

    @property
    def num_batches(self):
        """Of an epoch."""
        return -(-self._columns // self.max_length)

    @property
    def has_whole_batches(self):
        """Of slots, which are there to the end."""
        return True

    def draw_order(self, rng):
        """Where in `items` each slot is from step to step, `(B, W)`; −1 at its end."""
        # Sessions of one length change places, then those of a slot their order.
        keys = rng.random(len(self._sizes))
        sessions = self._by_size[np.lexsort((keys, -self._sizes))]
        order = np.lexsort((rng.random(len(self._sizes)), self._slots))
        sessions, sizes, slots = sessions[order], self._sizes[order], self._slots[order]
        ends = np.cumsum(sizes)
        total = int(ends[-1])
        before = np.repeat(ends - sizes, sizes)  # pairs in front of the session
        places = np.repeat(self.starts[sessions], sizes) + np.arange(total) - before
        rows = np.repeat(slots, sizes)
        first = np.searchsorted(rows, np.arange(self.batch_size))  # of each slot
        width = self.num_batches * self.max_length
        layout = np.full((self.batch_size, width), -1, "int64")
        layout[rows, np.arange(total) - first[rows]] = places
        return layout

    def __getitem__(self, number):
        """A batch."""
        epoch, layout = self._layout  # one attribute: another thread may renew it
        if epoch != self.epoch:
            epoch = self.epoch
            layout = self.draw_order(np.random.default_rng([self.seed, epoch]))
            self._layout = (epoch, layout)
        steps = slice(number * self.max_length, (number + 1) * self.max_length)
        rng = np.random.default_rng([self.seed, epoch, number])
        return self.make_batch(layout[:, steps], rng)

    def make_batch(self, examples, rng):
        """Inputs and targets of places in `items`."""
        is_there = examples >= 0  # (B, L)
        places = examples * is_there
        inputs = {
            self._name: np.where(is_there, self.items[places], 0),
            "starts": is_there & self._is_first[places],
        }
        targets = np.where(is_there, self.items[places + is_there], 0)
        y = {"next_item": targets}
        if self._sampler is not None:
            drawn = self._sampler.draw((self._num_negatives,), rng) + self._first_row
            y["negatives"] = drawn.astype("int32")  # (n,)
        if self._log_counts is not None:
            candidates = np.concatenate([targets.reshape(-1), y["negatives"]])
            y["log_counts"] = self._log_counts[candidates]  # (B L + n,)
        return inputs, y

    def _expected(self):
        """The log of how often a row is expected among a batch's candidates."""
        targets = self.items[~self._is_first]
        num_rows = self._first_row + self._sampler.num_items
        shares = np.bincount(targets, minlength=num_rows) / len(targets)
        expected = shares * self.batch_size * self.max_length
        return log_expected(
            expected, self._sampler, self._num_negatives, self._first_row
        )


def _emptiest_slots(sizes, num_slots):
    """For each session, in their order, the slot that has the least until then."""
    heap = [(0, slot) for slot in range(num_slots)]
    slots = np.empty(len(sizes), "int64")
    for i, size in enumerate(sizes.tolist()):
        load, slot = heap[0]
        slots[i] = slot
        heapq.heapreplace(heap, (load + size, slot))
    return slots
