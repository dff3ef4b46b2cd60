"""AutoInt."""

import keras

from keras_recs.layers import (
    MLP,
    FieldAttention,
    PredictionHeads,
)
from keras_recs.models.build_inputs import (
    build_inputs,
    check_id_features,
    stack_numbers,
)
from keras_recs.models.embed_fields import embed_fields
from keras_recs.models.table_rows import table_rows


def autoint(
    schema,
    embedding_dim=16,
    num_attention_layers=3,
    num_heads=2,
    projection_dim=32,
    use_residual=True,
    scaled=False,
    hidden_units=None,
    dropout=0.0,
    batch_norm=False,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds AutoInt: self-attention over the fields, alone or beside an MLP.

    Args:
        schema: a fitted `keras_recs.Schema`.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
        num_attention_layers: int. Defaults to `3`.
        num_heads: int. Attention heads of each layer. Defaults to `2`.
        projection_dim: int. Length of a head. Defaults to `32`.
        use_residual: bool. Add the input of an attention layer to its output. Defaults
            to `True`.
        scaled: bool. Divide the scores by the root of `projection_dim`. Defaults to
            `False`, as in the paper.
        hidden_units: ints. Widths of a deep tower beside the attention (AutoInt+).
            Defaults to `None`: no tower.
        dropout: float. Rate of the attention weights and in the tower. Defaults to
            `0.0`.
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
            feature, or a single field in all; for less than one attention layer.

    Reference: [Song et al., 2019](https://arxiv.org/abs/1810.11921)
    """
    if num_attention_layers < 1:
        raise ValueError(
            "`num_attention_layers` must be at least 1. Received: "
            f"num_attention_layers={num_attention_layers}"
        )
    # === Inputs ===
    inputs = build_inputs(schema)
    rows = table_rows(schema, inputs)
    check_id_features(schema, "AutoInt")
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
    if fields.shape[1] < 2:
        raise ValueError(
            "AutoInt lets fields attend to each other and needs two; the schema has "
            f"only {list(schema.feature_names)}."
        )
    # === Interact ===
    attended = fields
    for i in range(num_attention_layers):
        attended = FieldAttention(
            num_heads,
            projection_dim,
            use_residual,
            scaled,
            dropout=dropout,
            seed=None if seed is None else seed + i,
            name=f"attention_{i}",
        )(attended)  # (B, F + N, A·P)
    towers = [keras.layers.Flatten(name="attended")(attended)]
    # === Tower ===
    if hidden_units:
        x = keras.layers.Flatten(name="features")(fields)  # (B, (F + N)·D)
        deep = MLP(
            hidden_units,
            dropout=dropout,
            batch_norm=batch_norm,
            seed=None if seed is None else seed + num_attention_layers,
            name="deep",
        )(x)  # (B, H)
        towers.append(deep)
    # === Head ===
    outputs = PredictionHeads(schema.tasks, name="heads")(towers)
    return keras.Model(inputs, outputs, name="autoint")
