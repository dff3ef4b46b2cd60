"""Batches of sessions that run side by side."""


def session_batches(
    sequences,
    num_slots,
    num_steps=1,
    name="items",
    sampler=None,
    num_negatives=0,
    correct=False,
    first_row=2,
    seed=0,
):
    """Session-parallel batches for `gru4rec`, of arrays alone: no TensorFlow is needed.

    Each slot of a batch walks through one session after the other, `num_steps` events a
    batch: a session that a batch does not end goes on in the same slot of the next one,
    so that the model's state of the slot must be carried, and be forgotten where
    `"starts"` says that a new session begins. Each pair of an item and the next one is
    there once in an epoch, whatever the length of its session; sessions of less than
    two items have none. Where a slot has nothing left its places are 0, at the end.

    In each epoch sessions are dealt to the slots anew and in another order. How many
    events a slot has does not change, so epochs have as many batches.

    Args:
        sequences: list of int arrays: rows of the items' table by session, oldest
            first.
        num_slots: int. B. Sessions at a time.
        num_steps: int. L. Events of a slot in a batch, through which gradients go back.
            Defaults to `1`, as in the papers.
        name: string. The model's input. Defaults to `"items"`.
        sampler: of `keras_recs.data`, such as `PopularitySampler(counts, 0.75)`, whose
            ids count from the first item: draws that all places of a batch share.
            Defaults to `None`: the model draws by itself, or needs none.
        num_negatives: int. Draws a batch. Defaults to `0`.
        correct: bool. Give the log of how often an item is a candidate, for losses that
            estimate a softmax over all items. It needs a sampler. Defaults to `False`.
        first_row: int. First row that is an item. Defaults to `2`.
        seed: int. Of the order and the draws. Defaults to `0`.

    Returns:
        `keras.utils.PyDataset` of `({name: (B, L), "starts": (B, L)}, {"next_item":
        (B, L)})` in int32 and bool, with a sampler also `"negatives"` `(n,)`, and to
        correct `"log_counts"` `(B·L + n,)` of targets and negatives.

    Raises:
        TypeError: for items that are no integers, and for `HardNegatives`, which cannot
            draw without a model.
        ValueError: if no session has two items, for rows that the table cannot have,
            for sizes that are not positive, and for a correction without a sampler.

    Example:
    >>> batches = keras_recs.data.session_batches([[2, 3, 4], [5, 6]], 1, num_steps=3)
    >>> inputs, targets = batches[0]
    >>> bool(inputs["starts"].sum() == 2), sorted(targets["next_item"][0].tolist())
    (True, [3, 4, 6])

    Reference: [Hidasi et al., 2016](https://arxiv.org/abs/1511.06939), section 3.1.1
    """
    from keras_recs.data.session_sequences import SessionSequences

    return SessionSequences(
        name,
        sampler,
        num_negatives,
        correct,
        first_row,
        sequences=sequences,
        max_length=num_steps,
        batch_size=num_slots,
        seed=seed,
    )
