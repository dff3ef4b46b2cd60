"""The arrays of `masked_item_batches`."""

import numpy as np

from keras_recs.data.sequence_batches import SequenceBatches


class MaskedItemSequences(SequenceBatches):
    """Masked places with what stood there; see `masked_item_batches`.

    An example's number is its user's, and for the last item alone that plus the number
    of users.

    Args:
        name: string. The model's input.
        mask_rate: float.
        max_masked: int or `None`.
        last_rate: float.
        mask_row: int.
        **kwargs: of `SequenceBatches`.

    Raises:
        ValueError: for rates and counts that are out of range.
    """

    def __init__(self, name, mask_rate, max_masked, last_rate, mask_row, **kwargs):
        super().__init__(**kwargs)
        if not 0 < mask_rate <= 1:
            raise ValueError(
                "`mask_rate` must be above 0 and at most 1. Received: "
                f"mask_rate={mask_rate}"
            )
        if not 0 <= last_rate <= 1:
            raise ValueError(
                f"`last_rate` must be from 0 to 1. Received: last_rate={last_rate}"
            )
        if max_masked is not None and max_masked < 1:
            raise ValueError(
                "`max_masked` must be a positive integer or None. Received: "
                f"max_masked={max_masked}"
            )
        self._name = name
        self._mask_rate = mask_rate
        self._mask_row = mask_row
        self._max_masked = max_masked or self.max_length
        self._num_last = round(last_rate * len(self.ends))

    @property
    def num_examples(self):
        """Of an epoch: one a user, and the chosen users' last items."""
        return len(self.ends) + self._num_last

    def draw_order(self, rng):
        """The numbers of an epoch's examples, in a drawn order."""
        users = np.arange(len(self.ends))
        last = rng.choice(users, self._num_last, replace=False) + len(users)
        return rng.permutation(np.concatenate([users, last]))

    def make_batch(self, examples, rng):
        """Inputs and targets of examples."""
        users = examples % len(self.ends)
        is_last = (examples >= len(self.ends))[:, None]  # (B, 1)
        places, is_there = self.last_places(users)  # (B, T)
        rows = np.where(is_there, self.items[places], 0)
        counts = self._count(is_there.sum(1))[:, None]
        counts = np.where(is_last, 1, counts)  # (B, 1)
        # The first of an order in which padding is last, and for the last item it.
        keys = np.where(is_there, rng.random(rows.shape), 2.0)
        keys[:, -1:] = np.where(is_last, -1.0, keys[:, -1:])
        most = self._count(self.max_length)  # M, the same for all batches
        chosen = np.argsort(keys, axis=1)[:, :most]  # (B, M)
        is_masked = np.arange(most) < counts
        chosen = np.where(is_masked, chosen, 0)
        targets = np.where(is_masked, np.take_along_axis(rows, chosen, 1), 0)
        example, number = np.nonzero(is_masked)
        place = chosen[example, number]
        rows[example, place] = self._mask_row
        columns = self.columns_at(places, is_there)
        for values in columns.values():
            values[example, place] = 0  # or it would tell what the item was
        y = {"next_item": targets, "places": chosen.astype("int32")}
        return {self._name: rows, **columns}, y

    def _count(self, lengths):
        """How many of so many places are masked."""
        wanted = np.rint(self._mask_rate * lengths).astype("int64")
        return np.clip(wanted, 1, self._max_masked)
