"""Batches of sequences, some places of which are masked."""


def masked_item_batches(
    sequences,
    max_length,
    batch_size,
    name="items",
    mask_rate=0.2,
    max_masked=None,
    last_rate=0.1,
    mask_row=1,
    columns=None,
    drop_remainder=False,
    seed=0,
):
    """Batches for `bert4rec`, of arrays alone: no TensorFlow is needed.

    A user's last `max_length` items are an example, padded on the left; users with less
    than two items are left out. Of n items max(1, round(`mask_rate` n)), and at most
    `max_masked`, are drawn and become the mask, always: none is kept or exchanged for
    another item. Each epoch has all users once, in an order and with draws of its own.
    A history that is asked for has its mask at the end, so some examples mask the last
    item alone. The authors' code makes ten draws of each history and one of those;
    there windows slide over histories that are longer, which here are cut.

    Args:
        sequences: list of int arrays: rows of the items' table by user, oldest first.
        max_length: int. T.
        batch_size: int. Examples a batch.
        name: string. The model's input. Defaults to `"items"`.
        mask_rate: float. Share of the places that is masked. Defaults to `0.2`.
        max_masked: int. Masks at most. Defaults to `None`: no limit.
        last_rate: float. Share of the users that give one more example in an epoch, of
            which the last item is masked; drawn anew for each. Defaults to `0.1`.
        mask_row: int. Row of the mask. Defaults to `1`.
        columns: dict of input name to a list of int arrays that stand beside
            `sequences`; 0 where an item is masked. Defaults to `None`.
        drop_remainder: bool. Leave the last, smaller batch out. Defaults to `False`.
        seed: int. Of the order and the draws. Defaults to `0`.

    Returns:
        `keras.utils.PyDataset` of `({name: (B, T), …}, {"next_item": (B, M), "places":
        (B, M)})` in int32: what stood at which places. M is the count of a full
        history; an example with less masks has 0 in both after them.

    Raises:
        TypeError: for items that are no integers.
        ValueError: if no user has two items, and for rows, sizes and rates that are
            out of range.

    Example:
    >>> batches = keras_recs.data.masked_item_batches([[2, 3, 4]], 5, 1, last_rate=0)
    >>> inputs, targets = batches[0]
    >>> int((inputs["items"] == 1).sum()), targets["next_item"].shape
    (1, (1, 1))

    Reference: [Sun et al., 2019](https://arxiv.org/abs/1904.06690)
    """
    from keras_recs.data.masked_item_sequences import MaskedItemSequences

    return MaskedItemSequences(
        name,
        mask_rate,
        max_masked,
        last_rate,
        mask_row,
        sequences=sequences,
        max_length=max_length,
        batch_size=batch_size,
        drop_remainder=drop_remainder,
        seed=seed,
        columns=columns,
    )
