"""DLRM."""

import keras

from keras_recs.layers import MLP, DotInteraction, FeatureEmbedding, PredictionHeads
from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.models.build_inputs import (
    build_inputs,
    check_id_features,
    embedding_arguments,
    stack_numbers,
)
from keras_recs.models.table_rows import table_rows

INTERACTIONS = ("dot", "cat")


def dlrm(
    schema,
    embedding_dim=16,
    bottom_units=(512, 256),
    top_units=(512, 256),
    interaction="dot",
    dropout=0.0,
    batch_norm=False,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds DLRM: dot products between all embeddings and the numbers' vector.

    Args:
        schema: a fitted `keras_recs.Schema`.
        embedding_dim: int. Length of an embedding, and of the bottom MLP's output.
            Defaults to `16`.
        bottom_units: ints. Hidden widths of the MLP over the numbers; a last layer of
            `embedding_dim` follows. Defaults to `(512, 256)`.
        top_units: ints. Widths of the MLP over the interactions. Defaults to
            `(512, 256)`.
        interaction: `"dot"`, products of all pairs as in the paper, or `"cat"`, the
            vectors side by side, which the authors' code offers too. Defaults to
            `"dot"`.
        dropout: float. Rate in the MLP over the interactions. Defaults to `0.0`.
        batch_norm: bool. Normalize in both MLPs. Defaults to `False`.
        embeddings_regularizer: strength of a `BatchL2`, or Keras regularizer, of all
            tables. Defaults to `None`.
        embedding_options: `EmbeddingOptions` or a dict of its arguments: how the tables
            are stored. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Returns:
        Functional `keras.Model`: dict of features to dict of labels `(B, 1)`. A schema
        without numbers has no bottom MLP; its embeddings interact with each other.

    Raises:
        ValueError: for a schema that is not fitted, has no label, no categorical
            feature, or a single field in all to multiply; for another interaction.

    Reference: [Naumov et al., 2019](https://arxiv.org/abs/1906.00091)
    """
    if interaction not in INTERACTIONS:
        raise ValueError(
            f"`interaction` must be one of {INTERACTIONS}. Received: "
            f"interaction={interaction!r}"
        )
    # === Inputs ===
    inputs = build_inputs(schema)
    rows = table_rows(schema, inputs)
    check_id_features(schema, "DLRM")
    numbers = stack_numbers(schema, inputs)  # (B, N)
    # === Embed ===
    fields = FeatureEmbedding(
        **embedding_arguments(schema, embedding_dim, options=embedding_options),
        embeddings_regularizer=embeddings_regularizer,
        name="embedding",
    )(rows)  # (B, F, D)
    if interaction == "dot" and numbers is None and fields.shape[1] < 2:
        raise ValueError(
            "DLRM interacts fields with each other and needs two; the schema has only "
            f"{list(schema.feature_names)}."
        )
    dense = None
    if numbers is not None:
        bottom = MLP(
            (*checked_sizes("bottom_units", bottom_units), embedding_dim),
            batch_norm=batch_norm,
            name="bottom",
        )
        dense = bottom(numbers)  # (B, D)
        row = keras.layers.Reshape((1, embedding_dim), name="dense_field")(dense)
        fields = keras.layers.Concatenate(axis=1, name="fields")([row, fields])
    # === Interact ===
    if interaction == "dot":
        x = DotInteraction(name="dot")(fields)  # (B, n(n − 1)/2)
        if dense is not None:
            x = keras.layers.Concatenate(name="interactions")([dense, x])
    else:
        x = keras.layers.Flatten(name="features")(fields)  # (B, n·D)
    # === Tower ===
    top = MLP(top_units, dropout=dropout, batch_norm=batch_norm, seed=seed, name="top")(
        x
    )  # (B, H)
    # === Head ===
    outputs = PredictionHeads(schema.tasks, name="heads")([top])
    return keras.Model(inputs, outputs, name="dlrm")
