"""Batches for the pre-training of S3-Rec."""


def s3rec_batches(
    sequences,
    max_length,
    batch_size,
    sampler,
    name="items",
    mask_rate=0.2,
    mask_row=1,
    first_row=2,
    each_place=True,
    drop_remainder=False,
    seed=0,
):
    """Batches for `s3rec(stage="pretrain")`, of arrays alone: no TensorFlow is needed.

    Give it the training parts alone, without the events that validation and test ask
    for. Each place but the first of a sequence ends an example of the last `max_length`
    items up to there, padded on the left, as the authors' code has it for sequences
    that are no longer than that. An item is masked with `mask_rate`, the last one
    always, and a masked one has a negative beside it that the user's sequence does not
    hold. Of each example of n items a segment of 1 to n // 2 is drawn, and one of the
    same length of another user.

    Args:
        sequences: list of int arrays: rows of the items' table by user, oldest first.
            Users with less than two items are left out.
        max_length: int of at least 2. T.
        batch_size: int. Examples a batch.
        sampler: of `keras_recs.data`, such as `UniformSampler(num_items)`, whose ids
            count from the first item.
        name: string. The model's input. Defaults to `"items"`.
        mask_rate: float. Chance of a place to be masked. Defaults to `0.2`.
        mask_row: int. Row of the mask. Defaults to `1`.
        first_row: int. First row that is an item. Defaults to `2`.
        each_place: bool. An example for each place; else one a user, with all items.
            Defaults to `True`.
        drop_remainder: bool. Leave the last, smaller batch out. Defaults to `False`.
        seed: int. Of the order and the draws. Defaults to `0`.

    Returns:
        `keras.utils.PyDataset` of `({name: (B, T)}, targets)` in int32, where the input
        has masks, and the targets are a dict of `(B, T)`: `"masked_items"` and
        `"negatives"`, 0 where nothing is masked; `"masked_segment"`, the sequence with
        the segment masked, `"segment"`, the sequence with the rest masked, and
        `"other_segment"`, the same with the other user's segment in its place.

    Raises:
        TypeError: for items that are no integers, and for `HardNegatives`, which cannot
            draw without a model.
        ValueError: if there are less than two users with two items, and for rows,
            sizes and rates that are out of range.

    Example:
    >>> sampler = keras_recs.data.UniformSampler(6)
    >>> batches = keras_recs.data.s3rec_batches(
    ...     [[2, 3], [4, 5]], 3, 2, sampler, mask_rate=0.0
    ... )
    >>> inputs, targets = batches[0]
    >>> inputs["items"][:, -1], sorted(targets["masked_items"][:, -1].tolist())
    (array([1, 1], dtype=int32), [3, 5])

    Reference: [Zhou et al., 2020](https://arxiv.org/abs/2008.07873)
    """
    from keras_recs.data.s3rec_sequences import S3RecSequences

    return S3RecSequences(
        name,
        sampler,
        mask_rate,
        mask_row,
        first_row,
        each_place,
        sequences=sequences,
        max_length=max_length,
        batch_size=batch_size,
        drop_remainder=drop_remainder,
        seed=seed,
    )
