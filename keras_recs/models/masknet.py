"""MaskNet."""

import keras

from keras_recs.layers import (
    MLP,
    MaskBlock,
    PredictionHeads,
)
from keras_recs.models.build_inputs import (
    build_inputs,
    check_id_features,
    stack_numbers,
)
from keras_recs.models.embed_fields import embed_fields
from keras_recs.models.table_rows import table_rows

STRUCTURES = ("parallel", "serial")


def masknet(
    schema,
    embedding_dim=16,
    structure="parallel",
    num_blocks=3,
    block_units=128,
    reduction_ratio=2.0,
    layer_norm=True,
    hidden_units=(256, 128),
    dropout=0.0,
    batch_norm=False,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds MaskNet: layers whose input each example masks for itself.

    Args:
        schema: a fitted `keras_recs.Schema`.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
        structure: `"parallel"`, where all blocks mask the embeddings and a tower reads
            them side by side, or `"serial"`, where each block masks the output of the
            one below. Defaults to `"parallel"`.
        num_blocks: int. Defaults to `3`.
        block_units: int. Width of each block. Defaults to `128`.
        reduction_ratio: float. Width of a mask's inner layer, times that of the mask.
            Defaults to `2.0`.
        layer_norm: bool. Normalize the output of each block. Defaults to `True`.
        hidden_units: ints. Widths of the tower over the blocks, or `()` for none: the
            paper's serial model has none. Defaults to `(256, 128)`.
        dropout: float. Rate in the blocks and the tower. Defaults to `0.0`.
        batch_norm: bool. Normalize in the tower. Defaults to `False`.
        embeddings_regularizer: strength of a `BatchL2`, or Keras regularizer, of all
            tables. Defaults to `None`.
        embedding_options: `EmbeddingOptions` or a dict of its arguments: how the tables
            are stored. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Returns:
        Functional `keras.Model`: dict of features to dict of labels `(B, 1)`.

    Raises:
        ValueError: for a schema that is not fitted, has no label or no categorical
            feature, for less than one block, and for another structure.

    Reference: [Wang et al., 2021](https://arxiv.org/abs/2102.07619)
    """
    if structure not in STRUCTURES:
        raise ValueError(
            f"`structure` must be one of {STRUCTURES}. Received: "
            f"structure={structure!r}"
        )
    if num_blocks < 1:
        raise ValueError(
            f"`num_blocks` must be at least 1. Received: num_blocks={num_blocks}"
        )
    # === Inputs ===
    inputs = build_inputs(schema)
    rows = table_rows(schema, inputs)
    check_id_features(schema, "MaskNet")
    numbers = stack_numbers(schema, inputs)  # (B, N)
    # === Embed ===
    fields = embed_fields(
        schema,
        rows,
        numbers,
        embedding_dim,
        embeddings_regularizer,
        embedding_options,
    )  # (B, F + N, D)
    # === Interact ===
    blocks = []
    for i in range(num_blocks):
        block = MaskBlock(
            block_units,
            reduction_ratio,
            layer_norm,
            dropout=dropout,
            seed=None if seed is None else seed + i,
            name=f"block_{i}",
        )
        if structure == "serial" and blocks:
            blocks = [block(fields, hidden=blocks[0])]  # (B, U)
        else:
            blocks.append(block(fields))
    # === Tower ===
    if hidden_units:
        x = blocks[0]
        if len(blocks) > 1:
            x = keras.layers.Concatenate(name="blocks")(blocks)  # (B, num_blocks·U)
        deep = MLP(
            hidden_units,
            dropout=dropout,
            batch_norm=batch_norm,
            seed=None if seed is None else seed + num_blocks,
            name="deep",
        )(x)  # (B, H)
        blocks = [deep]
    # === Head ===
    outputs = PredictionHeads(schema.tasks, name="heads")(blocks)
    return keras.Model(inputs, outputs, name="masknet")
