"""Batches of next items, of views of sequences and of pairs of items."""


def contrastive_batches(
    sequences,
    max_length,
    batch_size,
    alterations=None,
    partners=None,
    **options,
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
        **options: `name`, `sampler`, `lengths`, `stride` and all others of
            `next_item_batches`, but for `columns`: a `ContrastiveItemModel` reads items
            alone. With `lengths` the views are as long as ever.

    Returns:
        `keras.utils.PyDataset` as that of `next_item_batches`, whose targets have
        `"views"` `(B, 2, max_length)`, and with partners `"item_pairs"` `(B, 2)`, 0
        where an item has none.

    Raises:
        TypeError: for `columns`, options that `next_item_batches` does not have, and as
            that.
        ValueError: for an empty list of alterations, and as `next_item_batches`.

    Example:
    >>> batches = keras_recs.data.contrastive_batches([[2, 3, 4]], 3, 1)
    >>> batches[0][1]["views"].shape
    (1, 2, 3)

    Reference: [Xie et al., 2020](https://arxiv.org/abs/2010.14395)
    """
    from keras_recs.data.contrastive_sequences import ContrastiveSequences

    sizes = {"max_length": max_length, "batch_size": batch_size}
    return ContrastiveSequences(
        alterations, partners, sequences=sequences, **sizes, **options
    )
