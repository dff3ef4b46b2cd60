"""DeepFM."""

import keras

from keras_recs.layers import (
    MLP,
    FMInteraction,
    LinearTerm,
    PredictionHeads,
)
from keras_recs.models.build_inputs import (
    build_inputs,
    check_id_features,
    stack_numbers,
    table_arguments,
)
from keras_recs.models.embed_fields import embed_fields
from keras_recs.models.table_rows import table_rows


def deepfm(
    schema,
    embedding_dim=16,
    hidden_units=(256, 128),
    dropout=0.0,
    batch_norm=False,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds DeepFM: a factorization machine and an MLP over the same embeddings.

    Args:
        schema: a fitted `keras_recs.Schema`.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
        hidden_units: ints. Widths of the deep tower. Defaults to `(256, 128)`.
        dropout: float. Rate in the tower. Defaults to `0.0`.
        batch_norm: bool. Normalize in the tower. Defaults to `False`.
        embeddings_regularizer: strength of a `BatchL2`, or Keras regularizer, of all
            tables, the first-order one too. Defaults to `None`.
        embedding_options: `EmbeddingOptions` or a dict of its arguments: how the tables
            are stored. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Returns:
        Functional `keras.Model`: dict of features to dict of labels `(B, 1)`. With
        several labels each weighs the factorization machine's vector for itself.

    Raises:
        ValueError: for a schema that is not fitted, has no label or no categorical
            feature.

    Reference: [Guo et al., 2017](https://arxiv.org/abs/1703.04247):
    ŷ = σ(w·x + Σ_{i<j}⟨v_i, v_j⟩x_i x_j + MLP(v))
    """
    # === Inputs ===
    inputs = build_inputs(schema)
    rows = table_rows(schema, inputs)
    check_id_features(schema, "DeepFM")
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
    linear = LinearTerm(
        **table_arguments(schema, embedding_dim, options=embedding_options),
        units=max(1, len(schema.labels)),
        kernel_regularizer=embeddings_regularizer,
        name="linear",
    )(rows, numbers=numbers)  # (B, K)
    several = len(schema.labels) > 1
    pairs = FMInteraction(keep_dim=several, name="fm")(fields)  # (B, 1) or (B, D)
    # === Tower ===
    x = keras.layers.Flatten(name="features")(fields)  # (B, (F + N)·D)
    deep = MLP(
        hidden_units, dropout=dropout, batch_norm=batch_norm, seed=seed, name="deep"
    )(x)  # (B, H)
    # === Head ===
    towers, logits = ([deep, pairs], [linear]) if several else ([deep], [linear, pairs])
    outputs = PredictionHeads(schema.tasks, name="heads")(towers, logits=logits)
    return keras.Model(inputs, outputs, name="deepfm")
