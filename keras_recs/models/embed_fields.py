"""Fields of categorical features and of numbers."""

import keras

from keras_recs.layers import FeatureEmbedding, NumericEmbedding
from keras_recs.models.build_inputs import embedding_arguments


def embed_fields(schema, rows, numbers, embedding_dim, regularizer, options):
    """Embeds what a schema has, each number x as x·v beside the categorical features.

    Args:
        schema: a fitted `keras_recs.Schema`.
        rows: dict of feature name to rows, as `table_rows` returns it.
        numbers: `(B, N)` or `None`, as `stack_numbers` returns it.
        embedding_dim: int. Length of an embedding.
        regularizer: as `FeatureEmbedding` takes it.
        options: `EmbeddingOptions` or `None`.

    Returns:
        `(B, F + N, D)`.
    """
    fields = FeatureEmbedding(
        **embedding_arguments(schema, embedding_dim, options=options),
        embeddings_regularizer=regularizer,
        name="embedding",
    )(rows)  # (B, F, D)
    if numbers is None:
        return fields
    number_fields = NumericEmbedding(
        embedding_dim, embeddings_regularizer=regularizer, name="number_embedding"
    )(numbers)  # (B, N, D)
    return keras.layers.Concatenate(axis=1, name="fields")(
        [fields, number_fields]
    )  # (B, F + N, D)
