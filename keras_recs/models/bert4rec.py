"""Bidirectional encoder of sequences, trained on masked places."""

import keras
from keras import ops

from keras_recs.layers import (
    MaskedSequenceHead,
    PositionEmbedding,
    TransformerBlock,
)
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.models.embed_events import embed_events
from keras_recs.models.event_inputs import event_inputs
from keras_recs.models.item_events import ItemEvents
from keras_recs.models.item_sequence import item_sequence
from keras_recs.models.next_item_model import NextItemModel

MASK_ROW = 1


def bert4rec(
    schema,
    items=None,
    embedding_dim=64,
    num_layers=2,
    num_heads=2,
    hidden_units=None,
    dropout=0.2,
    window=None,
    initializer=None,
    num_shards=1,
    seed=None,
):
    """Builds BERT4Rec: what is on both sides of a masked event says what it was.

    `keras_recs.data.masked_item_batches` makes its training data. The mask is row 1 of
    the table, the first of unknown items: neither is ever a candidate, and an unknown
    event of a history reads as one that is masked. `query_model` takes histories as
    they are and appends the mask.

    As in the authors' code places add to items, which are normalized and dropped before
    the first block. There, unlike here, histories are padded on the right, so places
    count from the first event, and all matrices are drawn as `initializer` says; here
    the dense layers are Glorot uniform.

    Args:
        schema: a fitted `keras_recs.Schema` with a sequence feature, padded on the
            left.
        items: string, or `ItemEvents` where more is known of events or items. Name of
            that feature, where there are several. Defaults to `None`.
        embedding_dim: int. Length of an embedding and of a state. Defaults to `64`.
        num_layers: int. Blocks. Defaults to `2`.
        num_heads: int. Heads of attention. Defaults to `2`.
        hidden_units: int. Width of the network of a block. Defaults to `None`: four
            times `embedding_dim`.
        dropout: float. Rate after the embeddings, of the attention's weights and in
            the blocks. Defaults to `0.2`.
        window: int. Places to each side that an event sees. Defaults to `None`: all.
        initializer: Keras initializer of items and places. Defaults to `None`: a
            truncated normal of 0.02.
        num_shards: int. Variables that the items' table is split into. Defaults to
            `1`.
        seed: int. Seed of dropout. Defaults to `None`.

    Returns:
        `NextItemModel`: dict of the sequences `(B, T)` to states `(B, T, D)`. Its loss
        is over the whole catalogue, with a bias of each item.

    Raises:
        ValueError: for a schema that is not fitted or has no such sequence, and for a
            window that is not positive.

    Reference: [Sun et al., 2019](https://arxiv.org/abs/1904.06690)
    """
    # === Inputs ===
    events = ItemEvents.of(items)
    feature = item_sequence(schema, "BERT4Rec", events, reads_events=True)
    sizes = schema.tables[feature.table_name]
    inputs = event_inputs(schema, feature, events)
    rows = inputs[feature.name]  # (B, T)
    mask = ops.not_equal(rows, 0)
    # === Embed ===
    initializer = keras.initializers.get(
        initializer or keras.initializers.TruncatedNormal(stddev=0.02)
    )
    x = embed_events(
        schema,
        inputs,
        events,
        embedding_dim=embedding_dim,
        num_shards=num_shards,
        initializer=initializer,
    )  # (B, T, D)
    others = renewed_initializer(initializer, 1)  # or the first rows would be the same
    x = PositionEmbedding(feature.max_length, others, name="positions")(x)
    x = keras.layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    x = keras.layers.Dropout(dropout, seed=seed, name="dropout")(x)
    # === Blocks ===
    for i in range(num_layers):
        x = TransformerBlock(
            num_heads,
            4 * embedding_dim if hidden_units is None else hidden_units,
            "gelu",
            dropout=dropout,
            wiring="post",
            sees="all" if window is None else window,
            seed=None if seed is None else seed + 100 * (i + 1),
            name=f"block_{i}",
        )([x, mask])  # (B, T, D)
    # === Head ===
    states = MaskedSequenceHead(name="head")(x)
    return NextItemModel(
        inputs,
        {"states": states},
        first_row=1 + sizes.num_oov,
        use_bias=True,
        seed=seed,
        mask_row=MASK_ROW,
        name="bert4rec",
    )
