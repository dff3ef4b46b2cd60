"""Self-supervised sequential recommendation."""

import keras
import numpy as np
from keras import ops

from keras_recs.layers import ItemTable, PositionEmbedding, TransformerBlock
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.models.contrastive_item_model import ContrastiveItemModel
from keras_recs.models.event_inputs import event_inputs
from keras_recs.models.item_events import ItemEvents
from keras_recs.models.item_sequence import item_sequence
from keras_recs.models.next_item_model import NextItemModel
from keras_recs.models.s3_rec_pretraining import S3RecPretraining

STAGES = ("pretrain", "finetune", "joint")


def s3rec(
    schema,
    items=None,
    stage="finetune",
    attributes=None,
    embedding_dim=64,
    num_layers=2,
    num_heads=2,
    hidden_units=None,
    dropout=0.5,
    num_negatives=1,
    objective=None,
    seed=None,
):
    """Builds S3-Rec: attributes and segments first, then what comes next.

    Build it twice. `stage="pretrain"` sees both sides of each event and is trained with
    `keras_recs.data.s3rec_batches`; `stage="finetune"` sees the past alone and is
    trained as SASRec is. `keras_recs.training.copy_weights(finetune, pretrain)` hands
    the weights on: their layers have the same names. `stage="joint"` is for one
    training in place of two, or in place of the second: next items and contrasts, with
    `keras_recs.data.contrastive_batches`.

    Blocks are those of BERT4Rec, without its head: a state is compared with the items.
    The mask is row 1 of the table, the first of unknown items.

    Args:
        schema: a fitted `keras_recs.Schema` with a sequence feature, padded on the
            left.
        items: string. Name of that feature, where there are several. Defaults to
            `None`.
        stage: `"pretrain"`, `"finetune"` or `"joint"`. Defaults to `"finetune"`.
        attributes: int array `(rows of the table, n)`: attributes of each item from 1,
            and 0 where it has less; rows of padding and unknown items hold 0 alone. Of
            the stages `"pretrain"` and `"joint"`. Defaults to `None`.
        embedding_dim: int. Length of an embedding and of a state. Defaults to `64`.
        num_layers: int. Blocks. Defaults to `2`.
        num_heads: int. Heads of attention. Defaults to `2`.
        hidden_units: int. Width of the network of a block. Defaults to `None`: four
            times `embedding_dim`.
        dropout: float. Rate after the embeddings, of the attention's weights and in
            the blocks. Defaults to `0.5`.
        num_negatives: int. Uniform draws a place for the next item, or `None`:
            cross-entropy over the whole catalogue. Defaults to `1`.
        objective: dict of further arguments of the stage's model: `form` and `weights`
            of `S3RecPretraining`, or `view_weight`, `item_weight` and `temperature` of
            `ContrastiveItemModel`. Defaults to `None`.
        seed: int. Seed of dropout and draws. Defaults to `None`.

    Returns:
        dict of the sequence `(B, T)` to states `(B, T, D)`, as `S3RecPretraining`,
        `NextItemModel` or `ContrastiveItemModel`.

    Raises:
        ValueError: for a schema that is not fitted or has no such sequence, for another
            stage, and for attributes that are missing, that the stage does not read or
            that do not fit the table.

    Reference: [Zhou et al., 2020](https://arxiv.org/abs/2008.07873)
    """
    # === Inputs ===
    feature = item_sequence(schema, "S3-Rec", items)
    sizes = schema.tables[feature.table_name]
    first_row = 1 + sizes.num_oov
    attributes = _checked(attributes, stage, sizes.num_rows, first_row)
    inputs = event_inputs(schema, feature, ItemEvents.of(items))
    rows = inputs[feature.name]  # (B, T)
    mask = ops.not_equal(rows, 0)
    # === Embed ===
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)
    table = ItemTable(
        sizes.num_rows, embedding_dim, initializer=initializer, name="items"
    )
    x = table(rows)  # (B, T, D)
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
            sees="all" if stage == "pretrain" else "past",
            seed=None if seed is None else seed + 100 * (i + 1),
            name=f"block_{i}",
        )([x, mask])  # (B, T, D)
    # === Head ===
    outputs, objective = {"states": x}, objective or {}
    if stage == "pretrain":
        model = S3RecPretraining(
            inputs,
            outputs,
            num_attributes=int(attributes.max()),
            max_attributes=attributes.shape[1],
            first_row=first_row,
            name="s3rec",
            **objective,
        )
        model.attributes.set_table(attributes)
        return model
    options = {"first_row": first_row, "num_negatives": num_negatives, "seed": seed}
    if stage == "finetune":
        return NextItemModel(inputs, outputs, **options, name="s3rec", **objective)
    options["max_attributes"] = attributes.shape[1]
    model = ContrastiveItemModel(inputs, outputs, **options, name="s3rec", **objective)
    model.attributes.set_table(attributes)
    return model


def _checked(attributes, stage, num_rows, first_row):
    """The table of attributes, which a stage needs or not."""
    if stage not in STAGES:
        raise ValueError(f"`stage` must be one of {STAGES}. Received: stage={stage!r}")
    if (attributes is None) != (stage == "finetune"):
        wanted = "be left out" if stage == "finetune" else "be given"
        raise ValueError(
            f"`attributes` must {wanted} for the stage {stage!r}. Received: "
            f"attributes={'None' if attributes is None else 'a table'}"
        )
    if attributes is None:
        return None
    attributes = np.asarray(attributes)
    fits = attributes.ndim == 2 and len(attributes) == num_rows
    if not fits or attributes[:first_row].any() or not attributes.any():
        raise ValueError(
            f"`attributes` must be (rows, n) of the {num_rows} rows of the items' "
            f"table, of which the first {first_row} have none and others have some. "
            f"Received: shape={attributes.shape}"
        )
    return attributes
