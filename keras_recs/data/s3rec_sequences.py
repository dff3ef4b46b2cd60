"""The arrays of `s3rec_batches`."""

import numpy as np

from keras_recs.data.sequence_batches import SequenceBatches


class S3RecSequences(SequenceBatches):
    """Masked items and segments beside others; see `s3rec_batches`.

    An example's number is the place in `items` that it ends with.

    Args:
        name: string. The model's input.
        sampler: sampler of negatives.
        mask_rate: float.
        mask_row: int.
        first_row: int.
        each_place: bool.
        **kwargs: of `SequenceBatches`.

    Raises:
        ValueError: for a rate or a length that is out of range, and for less than two
            users.
    """

    def __init__(
        self, name, sampler, mask_rate, mask_row, first_row, each_place, **kwargs
    ):
        super().__init__(**kwargs, sampler=sampler, first_row=first_row)
        if self.max_length < 2:
            raise ValueError(
                "`max_length` must be at least 2: a segment is at most half of what is "
                f"there. Received: max_length={self.max_length}"
            )
        if not 0 <= mask_rate <= 1:
            raise ValueError(
                f"`mask_rate` must be from 0 to 1. Received: mask_rate={mask_rate}"
            )
        if len(self.ends) < 2:
            raise ValueError(
                "`sequences` must hold two users with two items at least: a segment "
                f"is compared with another user's. Received: {len(self.ends)}"
            )
        self._name = name
        self._mask_rate = mask_rate
        self._mask_row = mask_row
        lengths = self.ends - self.starts
        self._users = np.repeat(np.arange(len(lengths)), lengths)  # of each place
        self._own = self.own_items()
        self._last = self.ends - 1
        if each_place:
            is_first = np.zeros(len(self.items), bool)
            is_first[self.starts] = True
            self._last = np.flatnonzero(~is_first)
        # The longest first, so that those with room for a segment are the first ones.
        self._by_length = np.argsort(-lengths, kind="stable")
        self._ranks = np.argsort(self._by_length)
        self._shortness = -lengths[self._by_length]

    @property
    def num_examples(self):
        """Of an epoch: one a place, or one a user."""
        return len(self._last)

    def draw_order(self, rng):
        """The places that examples end with, in a drawn order."""
        return rng.permutation(self._last)

    def make_batch(self, examples, rng):
        """Inputs and targets of examples."""
        users, columns = self._users[examples], np.arange(self.max_length)
        places = examples[:, None] - columns[::-1]  # (B, T)
        is_there = places >= self.starts[users, None]
        rows = np.where(is_there, self.items[places * is_there], 0)
        # Items
        is_masked = is_there & (rng.random(rows.shape) < self._mask_rate)
        is_masked[:, -1] = True
        example, column = np.nonzero(is_masked)
        drawn = self._sampler.draw_others(users[example], rng, self._own)
        negatives = np.zeros_like(rows)
        negatives[example, column] = drawn + self._first_row
        # Segments
        counts = is_there.sum(1)
        lengths, others = self._draw_segments(users, counts, rng)  # (B,)
        firsts = self.max_length - rng.integers(lengths, counts + 1)[:, None]  # (B, 1)
        is_inside = (columns >= firsts) & (columns < firsts + lengths[:, None])
        strangers = (others[:, None] + columns - firsts) * is_inside
        without = np.where(is_there, self._mask_row, 0)
        y = {
            "masked_items": np.where(is_masked, rows, 0),
            "negatives": negatives,
            "masked_segment": np.where(is_inside, self._mask_row, rows),
            "segment": np.where(is_inside, rows, without),
            "other_segment": np.where(is_inside, self.items[strangers], without),
        }
        y = {key: value.astype("int32") for key, value in y.items()}
        rows = np.where(is_masked, self._mask_row, rows).astype("int32")
        return {self._name: rows}, y

    def _draw_segments(self, users, counts, rng):
        """Lengths of segments, and places in `items` where others' of these start."""
        lengths = rng.integers(1, counts // 2 + 1)
        # A segment of the longest user may be longer than all others.
        lengths = np.minimum(lengths, -self._shortness[1])
        numbers = np.searchsorted(self._shortness, -lengths, side="right")
        # All that have room but the user, who is one of them.
        ranks = rng.integers(numbers - 1)
        others = self._by_length[ranks + (ranks >= self._ranks[users])]
        room = self.ends[others] - self.starts[others] - lengths
        return lengths, self.starts[others] + rng.integers(room + 1)
