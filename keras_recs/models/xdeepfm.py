"""xDeepFM."""

import keras

from keras_recs.layers import (
    CIN,
    MLP,
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


def xdeepfm(
    schema,
    embedding_dim=16,
    cin_layer_sizes=(128, 128),
    split_half=False,
    hidden_units=(256, 128),
    dropout=0.0,
    batch_norm=False,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds xDeepFM: a linear term, a compressed interaction network and an MLP.

    Network and MLP read the same embeddings.

    Args:
        schema: a fitted `keras_recs.Schema`.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
        cin_layer_sizes: ints. Feature maps of each layer of the interaction network.
            Defaults to `(128, 128)`.
        split_half: bool. Half of a layer's maps go to the output alone; see
            `keras_recs.layers.CIN`. Defaults to `False`.
        hidden_units: ints. Widths of the deep tower. Defaults to `(256, 128)`.
        dropout: float. Rate in the tower. Defaults to `0.0`.
        batch_norm: bool. Normalize in the tower. Defaults to `False`.
        embeddings_regularizer: strength of a `BatchL2`, or Keras regularizer, of all
            tables, the first-order one too. Defaults to `None`.
        embedding_options: `EmbeddingOptions` or a dict of its arguments: how the tables
            are stored. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Returns:
        Functional `keras.Model`: dict of features to dict of labels `(B, 1)`.

    Raises:
        ValueError: for a schema that is not fitted, has no label or no categorical
            feature.

    Reference: [Lian et al., 2018](https://arxiv.org/abs/1803.05170)
    """
    # === Inputs ===
    inputs = build_inputs(schema)
    rows = table_rows(schema, inputs)
    check_id_features(schema, "xDeepFM")
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
    maps = CIN(cin_layer_sizes, split_half, name="cin")(fields)  # (B, M)
    # === Tower ===
    x = keras.layers.Flatten(name="features")(fields)  # (B, (F + N)·D)
    deep = MLP(
        hidden_units, dropout=dropout, batch_norm=batch_norm, seed=seed, name="deep"
    )(x)  # (B, H)
    # === Head ===
    outputs = PredictionHeads(schema.tasks, name="heads")([deep, maps], logits=[linear])
    return keras.Model(inputs, outputs, name="xdeepfm")
