"""YouTube's ranking network."""

import keras

from keras_recs.layers import MLP, FeatureEmbedding, PowerFeatures, PredictionHeads
from keras_recs.models.build_inputs import (
    build_inputs,
    check_id_features,
    embedding_arguments,
    stack_numbers,
)
from keras_recs.models.table_rows import table_rows


def youtube_ranking(
    schema,
    embedding_dim=32,
    hidden_units=(1024, 512, 256),
    dropout=0.0,
    batch_norm=False,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds YouTube's ranking network: an MLP over embeddings and powers of numbers.

    Its target is a label of the task `"watch_time"`, for which it serves e^z, the odds
    of a weighted logistic regression; train it with `keras_recs.losses.losses_of`.
    Other labels have heads of their own.

    Histories and sets are averaged (the `combiner` of their features); features share
    a table by `table`, as the impression and the watched videos do. A number enters as
    x, x² and √x. In the paper x is its quantile in the training data:
    `NumericFeature(transform="quantile")`. Other numbers are taken as they are, with
    −√|x| for the root of a negative one; keep them about 1.

    Args:
        schema: a fitted `keras_recs.Schema`.
        embedding_dim: int. Length of an embedding; the paper's grows with the logarithm
            of the vocabulary (`EmbeddingOptions(embedding_dims=…)`). Defaults to `32`.
        hidden_units: ints. Widths of the tower. Defaults to `(1024, 512, 256)`.
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

    Reference: [Covington et al., 2016](https://doi.org/10.1145/2959100.2959190),
    section 4
    """
    # === Inputs ===
    inputs = build_inputs(schema)
    rows = table_rows(schema, inputs)
    check_id_features(schema, "YouTube ranking")
    numbers = stack_numbers(schema, inputs)  # (B, N)
    # === Embed ===
    fields = FeatureEmbedding(
        **embedding_arguments(schema, embedding_dim, options=embedding_options),
        embeddings_regularizer=embeddings_regularizer,
        name="embedding",
    )(rows)  # (B, F, D)
    x = keras.layers.Flatten(name="embedded")(fields)  # (B, F·D)
    if numbers is not None:
        powers = PowerFeatures(name="powers")(numbers)  # (B, 3·N)
        x = keras.layers.Concatenate(name="features")([x, powers])  # (B, F·D + 3·N)
    # === Tower ===
    deep = MLP(
        hidden_units, dropout=dropout, batch_norm=batch_norm, seed=seed, name="deep"
    )(x)  # (B, H)
    # === Head ===
    outputs = PredictionHeads(schema.tasks, name="heads")([deep])
    return keras.Model(inputs, outputs, name="youtube_ranking")
