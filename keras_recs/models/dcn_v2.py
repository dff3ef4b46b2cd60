"""DCN-V2."""

import keras

from keras_recs.layers import MLP, CrossLayer, FeatureEmbedding, PredictionHeads
from keras_recs.models.build_inputs import (
    build_inputs,
    check_id_features,
    embedding_arguments,
    stack_numbers,
)
from keras_recs.models.table_rows import table_rows

STRUCTURES = ("parallel", "stacked")


def dcn_v2(
    schema,
    embedding_dim=16,
    num_cross_layers=3,
    projection_dim=None,
    num_experts=None,
    structure="parallel",
    hidden_units=(256, 128),
    dropout=0.0,
    batch_norm=False,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds DCN-V2: cross layers beside or below an MLP.

    Args:
        schema: a fitted `keras_recs.Schema`.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
        num_cross_layers: int. Products of up to that many features, plus one.
            Defaults to `3`.
        projection_dim: int. Rank of the cross layers' matrices. Defaults to `None`:
            full matrices.
        num_experts: int. Low-rank matrices that a cross layer mixes with gates; needs
            `projection_dim`. Defaults to `None`: one and no gates.
        structure: `"parallel"`, where the head reads cross layers and tower side by
            side, or `"stacked"`, where the tower reads the cross layers. Defaults to
            `"parallel"`.
        hidden_units: ints. Widths of the deep tower. Defaults to `(256, 128)`.
        dropout: float. Rate in the tower. Defaults to `0.0`.
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
            feature, for less than one cross layer, and for another structure.

    Reference: [Wang et al., 2021](https://arxiv.org/abs/2008.13535)
    """
    if num_cross_layers < 1:
        raise ValueError(
            "`num_cross_layers` must be at least 1. Received: "
            f"num_cross_layers={num_cross_layers}"
        )
    if structure not in STRUCTURES:
        raise ValueError(
            f"`structure` must be one of {STRUCTURES}. Received: "
            f"structure={structure!r}"
        )
    # === Inputs ===
    inputs = build_inputs(schema)
    rows = table_rows(schema, inputs)
    check_id_features(schema, "DCN-V2")
    numbers = stack_numbers(schema, inputs)  # (B, N)
    # === Embed ===
    fields = FeatureEmbedding(
        **embedding_arguments(schema, embedding_dim, options=embedding_options),
        embeddings_regularizer=embeddings_regularizer,
        name="embedding",
    )(rows)  # (B, F, D)
    x0 = keras.layers.Flatten(name="embedded")(fields)  # (B, F·D)
    if numbers is not None:
        x0 = keras.layers.Concatenate(name="features")([x0, numbers])  # (B, F·D + N)
    # === Interact ===
    cross = x0
    for i in range(num_cross_layers):
        layer = CrossLayer(projection_dim, num_experts, name=f"cross_{i}")
        cross = layer([x0, cross])  # (B, F·D + N)
    # === Tower ===
    x = cross if structure == "stacked" else x0
    deep = MLP(
        hidden_units, dropout=dropout, batch_norm=batch_norm, seed=seed, name="deep"
    )(x)  # (B, H)
    # === Head ===
    towers = [deep] if structure == "stacked" else [cross, deep]
    outputs = PredictionHeads(schema.tasks, name="heads")(towers)
    return keras.Model(inputs, outputs, name="dcn_v2")
