"""Self-attentive sequential recommendation."""

import keras
from keras import ops

from keras_recs.layers import PositionEmbedding, TransformerBlock
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.models.embed_events import embed_events
from keras_recs.models.event_inputs import event_inputs
from keras_recs.models.item_events import ItemEvents
from keras_recs.models.item_sequence import item_sequence
from keras_recs.models.next_item_model import NextItemModel


def sasrec(
    schema,
    items=None,
    embedding_dim=64,
    num_layers=2,
    num_heads=1,
    hidden_units=None,
    dropout=0.2,
    wiring="sasrec",
    num_negatives=1,
    initializer="glorot_uniform",
    num_shards=1,
    seed=None,
):
    """Builds SASRec: attention over what came before says what comes next.

    Places count from the last event, as in the authors' code, whose histories are
    padded on the left: one more event moves those before it by a place.

    Args:
        schema: a fitted `keras_recs.Schema` with a sequence feature, padded on the
            left.
        items: string, or `ItemEvents` where more is known of events or items. Name of
            that feature, where there are several. Defaults to `None`.
        embedding_dim: int. Length of an embedding and of a state. Defaults to `64`.
        num_layers: int. Blocks. Defaults to `2`.
        num_heads: int. Heads of attention. Defaults to `1`.
        hidden_units: int. Width of the network of a block. Defaults to `None`: as
            `embedding_dim`.
        dropout: float. Rate after the embeddings and in the blocks. Defaults to `0.2`.
        wiring: `"sasrec"` as the authors' code, `"pre"` as the paper, or `"post"`; see
            `TransformerBlock`. Defaults to `"sasrec"`.
        num_negatives: int. Uniform draws a place, whose scores the compiled loss sees
            beside the target's, or `None`: cross-entropy over the whole catalogue.
            Defaults to `1`.
        initializer: Keras initializer of items and places. Defaults to
            `"glorot_uniform"`.
        num_shards: int. Variables that the items' table is split into. Defaults to
            `1`.
        seed: int. Seed of dropout and draws. Defaults to `None`.

    Returns:
        `NextItemModel`: dict of the sequences `(B, T)` to states `(B, T, D)`.

    Raises:
        ValueError: for a schema that is not fitted or has no such sequence.

    Reference: [Kang and McAuley, 2018](https://arxiv.org/abs/1808.09781)
    """
    # === Inputs ===
    events = ItemEvents.of(items)
    feature = item_sequence(schema, "SASRec", events, reads_events=True)
    sizes = schema.tables[feature.table_name]
    inputs = event_inputs(schema, feature, events)
    rows = inputs[feature.name]  # (B, T)
    mask = ops.not_equal(rows, 0)
    # === Embed ===
    x = embed_events(
        schema,
        inputs,
        events,
        scale=embedding_dim**0.5,
        embedding_dim=embedding_dim,
        num_shards=num_shards,
        initializer=initializer,
    )  # (B, T, D)
    there = ops.expand_dims(ops.cast(mask, "float32"), -1)
    others = renewed_initializer(initializer, 1)  # or the first rows would be the same
    x = PositionEmbedding(feature.max_length, others, name="positions")(x)
    x = keras.layers.Dropout(dropout, seed=seed, name="dropout")(x)
    x = keras.layers.Multiply(name="without_padding")([x, there])
    # === Blocks ===
    for i in range(num_layers):
        x = TransformerBlock(
            num_heads,
            hidden_units,
            dropout=dropout,
            wiring=wiring,
            seed=None if seed is None else seed + 100 * (i + 1),
            name=f"block_{i}",
        )([x, mask])  # (B, T, D)
    # === Head ===
    states = keras.layers.LayerNormalization(epsilon=1e-8, name="norm")(x)
    return NextItemModel(
        inputs,
        {"states": states},
        first_row=1 + sizes.num_oov,
        num_negatives=num_negatives,
        seed=seed,
        name="sasrec",
    )
