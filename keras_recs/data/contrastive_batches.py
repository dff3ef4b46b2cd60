"""Batches of next items, of views of sequences and of pairs of items."""


def contrastive_batches(
    sequences,
    max_length,
    batch_size,
    alterations=None,
    partners=None,
    name="items",
    sampler=None,
    num_negatives=1,
    first_row=2,
    drop_remainder=False,
    seed=0,
):
    """Batches for a `ContrastiveItemModel`, of arrays alone: no TensorFlow is needed.

    As `next_item_batches`, and beside the targets two views of each sequence, each by
    an alteration drawn for it, and a pair of one of its items, drawn, and a partner.

    Args:
        sequences: list of int arrays: rows of the items' table by user, oldest first.
        max_length: int. T.
        batch_size: int. Users a batch.
        alterations: list of functions of rows `(B, T)` and a `numpy.random.Generator`
            that give rows. Defaults to `None`: `crop_events` of 0.6, `mask_events` of
            0.3 and `reorder_events` of 0.6.
        partners: int `(V, K)`: by row the rows of items that share an attribute, such
            as `similar_items` gives; 0 where there are less. Defaults to `None`: no
            pairs.
        name: string. The model's input. Defaults to `"items"`.
        sampler: as in `next_item_batches`. Defaults to `None`.
        num_negatives: int. Draws a place. Defaults to `1`.
        first_row: int. First row that is an item. Defaults to `2`.
        drop_remainder: bool. Leave the last, smaller batch out. Defaults to `False`.
        seed: int. Of the order and the draws. Defaults to `0`.

    Returns:
        `keras.utils.PyDataset` as that of `next_item_batches`, whose targets have
        `"views"` `(B, 2, T)`, and with partners `"item_pairs"` `(B, 2)`, 0 where an
        item has none.

    Raises:
        TypeError: for items that are no integers, and for `HardNegatives`, which cannot
            draw without a model.
        ValueError: if no user has two items, for rows that the table cannot have, for
            sizes that are not positive and for an empty list of alterations.

    Example:
    >>> batches = keras_recs.data.contrastive_batches([[2, 3, 4]], 3, 1)
    >>> batches[0][1]["views"].shape
    (1, 2, 3)

    Reference: [Xie et al., 2020](https://arxiv.org/abs/2010.14395)
    """
    from keras_recs.data.contrastive_sequences import ContrastiveSequences

    return ContrastiveSequences(
        alterations,
        partners,
        name=name,
        sampler=sampler,
        num_negatives=num_negatives,
        first_row=first_row,
        sequences=sequences,
        max_length=max_length,
        batch_size=batch_size,
        drop_remainder=drop_remainder,
        seed=seed,
    )
