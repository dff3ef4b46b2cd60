"""Wide & Deep."""

import keras

from keras_recs.layers import MLP, FeatureEmbedding, LinearTerm, PredictionHeads
from keras_recs.models.build_inputs import (
    build_inputs,
    check_id_features,
    embedding_arguments,
    stack_numbers,
    table_arguments,
)
from keras_recs.models.table_rows import table_rows


def wide_and_deep(
    schema,
    embedding_dim=16,
    hidden_units=(256, 128),
    dropout=0.0,
    batch_norm=False,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds Wide & Deep: a linear model and an MLP, trained jointly on summed logits.

    The wide part reads every feature and is where crosses belong; the deep part embeds
    all but the crosses.

    Args:
        schema: a fitted `keras_recs.Schema`.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
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
            feature.

    Reference: [Cheng et al., 2016](https://arxiv.org/abs/1606.07792)
    """
    # === Inputs ===
    inputs = build_inputs(schema)
    rows = table_rows(schema, inputs)
    check_id_features(schema, "Wide & Deep")
    numbers = stack_numbers(schema, inputs)  # (B, N)
    crosses = schema.crossed_features
    embedded = [feature for feature in schema.id_features if feature not in crosses]
    # === Embed ===
    fields = FeatureEmbedding(
        **embedding_arguments(schema, embedding_dim, embedded, embedding_options),
        embeddings_regularizer=embeddings_regularizer,
        name="embedding",
    )(rows)  # (B, F, D)
    x = keras.layers.Flatten(name="features")(fields)  # (B, F·D)
    if numbers is not None:
        x = keras.layers.Concatenate(name="with_numbers")([x, numbers])
    # === Interact ===
    wide = LinearTerm(
        **table_arguments(schema, embedding_dim, options=embedding_options),
        units=max(1, len(schema.labels)),
        kernel_regularizer=embeddings_regularizer,
        name="wide",
    )(rows, numbers=numbers)  # (B, K)
    # === Tower ===
    deep = MLP(
        hidden_units, dropout=dropout, batch_norm=batch_norm, seed=seed, name="deep"
    )(x)  # (B, H)
    # === Head ===
    outputs = PredictionHeads(schema.tasks, name="heads")([deep], logits=[wide])
    return keras.Model(inputs, outputs, name="wide_and_deep")
