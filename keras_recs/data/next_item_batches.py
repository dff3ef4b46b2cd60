"""Batches of sequences, each place with what came next."""


def next_item_batches(
    sequences,
    max_length,
    batch_size,
    name="items",
    sampler=None,
    num_negatives=1,
    first_row=2,
    lengths=None,
    columns=None,
    stride=None,
    drop_remainder=False,
    seed=0,
    shared=False,
    correct=False,
    negative_weights=None,
    with_seen=False,
):
    """Batches for a `NextItemModel`, of arrays alone: no TensorFlow is needed.

    A user's last `max_length` pairs of an item and the next one are an example, padded
    on the left; users with less than two items are left out. Each epoch has all others
    once, in an order of its own. A longer history is cut, unless a `stride` makes an
    example of each window over it: with `stride=max_length` each pair is in one, with a
    smaller one in several, after more events.

    Where most users have few items, most of a batch is padding. With `lengths` a batch
    has users of like lengths: the least of these that holds all their pairs is its T.
    Batches come in a drawn order. As the loss is a batch's mean over places, those of
    short histories weigh more there than beside long ones.

    Args:
        sequences: list of int arrays: rows of the items' table by user, oldest first.
        max_length: int. T.
        batch_size: int. Examples a batch.
        name: string. The model's input. Defaults to `"items"`.
        sampler: of `keras_recs.data`, such as `UniformSampler(num_items)`, whose ids
            count from the first item. Negatives are never items of the user's
            sequence, unless they are shared. Defaults to `None`: the model draws by
            itself, or needs none.
        num_negatives: int. Draws a place, or a batch. Defaults to `1`.
        first_row: int. First row that is an item. Defaults to `2`.
        lengths: ints below `max_length`, each of which is compiled once. Defaults to
            `None`: all batches are as long.
        columns: dict of input name to a list of int arrays that stand beside
            `sequences`, such as the bucket of the time since the event before: inputs
            of the event, not of the one that is to be foretold. Defaults to `None`.
        stride: int. Pairs between the windows of a user, at most `max_length`; the
            newest ends with the last item. Defaults to `None`: the newest alone.
        drop_remainder: bool. Leave the last, smaller batch out, with `lengths` one of
            each. Defaults to `False`.
        seed: int. Of the order and the draws. Defaults to `0`.
        shared: bool. Draw once a batch, for a model that shares negatives, such as
            `gru4rec`. Defaults to `False`.
        correct: bool. Give the log of how often an item is expected among the draws of
            a place, from which the user's items are not taken out, and where they are
            shared among all candidates of a batch; for losses that estimate a softmax
            over all items. Defaults to `False`.
        negative_weights: function of users `(B,)`, numbers of `sequences`, targets
            `(B, T)` and negatives `(B, T, n)`, or `(n,)` if shared, that says what each
            negative weighs: `(B, T, n)`, or of shared ones also `(n,)`, at least 0.
            Items count from 0; −1 is no item. Such as `NegativeWeights`, for near
            duplicates and what was seen and not chosen. Defaults to `None`: all weigh
            1.
        with_seen: bool. Add `"seen"`, all items of the user before the last target,
            which evaluation leaves out as candidates where it is not told otherwise;
            without it those of the T places. Defaults to `False`.

    Returns:
        `keras.utils.PyDataset` of `({name: (B, T), …}, {"next_item": (B, T)})` in
        int32, with a sampler also `"negatives"` `(B, T, n)` or shared `(n,)`; to
        correct `"log_counts"` `(B, T, 1 + n)` or `(B·T + n,)` of targets and negatives,
        and `"negative_weights"`, both float32; with `with_seen` `"seen"` `(B, S)`,
        padded on the left as far as the longest history.

    Raises:
        TypeError: for items that are no integers, and for `HardNegatives`, which cannot
            draw without a model.
        ValueError: if no user has two items, for rows that the table cannot have, for
            sizes that are not positive, for lengths above `max_length`, a stride that
            would lose pairs, weights of another shape or below 0, and what needs a
            sampler without one.
    """
    from keras_recs.data.next_item_sequences import NextItemSequences

    return NextItemSequences(
        name,
        sampler,
        num_negatives,
        first_row,
        lengths,
        stride,
        shared,
        correct,
        negative_weights,
        with_seen,
        sequences=sequences,
        max_length=max_length,
        batch_size=batch_size,
        drop_remainder=drop_remainder,
        seed=seed,
        columns=columns,
    )
