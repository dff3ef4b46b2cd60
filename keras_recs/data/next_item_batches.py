"""Batches of sequences, each place with what came next."""


def next_item_batches(
    sequences,
    max_length,
    batch_size,
    name="items",
    sampler=None,
    num_negatives=1,
    first_row=2,
    stride=None,
    drop_remainder=False,
    seed=0,
):
    """Batches for a `NextItemModel`, of arrays alone: no TensorFlow is needed.

    A user's last `max_length` pairs of an item and the next one are an example, padded
    on the left; users with less than two items are left out. Each epoch has all others
    once, in an order of its own. A longer history is cut, unless a `stride` makes an
    example of each window over it: with `stride=max_length` each pair is in one, with a
    smaller one in several, after more events.

    Args:
        sequences: list of int arrays: rows of the items' table by user, oldest first.
        max_length: int. T.
        batch_size: int. Examples a batch.
        name: string. The model's input. Defaults to `"items"`.
        sampler: of `keras_recs.data`, such as `UniformSampler(num_items)`, whose ids
            count from the first item. Negatives are never items of the user's sequence.
            Defaults to `None`: the model draws by itself, or needs none.
        num_negatives: int. Draws a place. Defaults to `1`.
        first_row: int. First row that is an item. Defaults to `2`.
        stride: int. Pairs between the windows of a user, at most `max_length`; the
            newest ends with the last item. Defaults to `None`: the newest alone.
        drop_remainder: bool. Leave the last, smaller batch out. Defaults to `False`.
        seed: int. Of the order and the draws. Defaults to `0`.

    Returns:
        `keras.utils.PyDataset` of `({name: (B, T)}, {"next_item": (B, T)})` in int32,
        with a sampler also `"negatives"` `(B, T, n)`.

    Raises:
        ValueError: if no user has two items, for sizes that are not positive and a
            stride that would lose pairs.
    """
    from keras_recs.data.next_item_sequences import NextItemSequences

    return NextItemSequences(
        name,
        sampler,
        num_negatives,
        first_row,
        stride,
        sequences=sequences,
        max_length=max_length,
        batch_size=batch_size,
        drop_remainder=drop_remainder,
        seed=seed,
    )
