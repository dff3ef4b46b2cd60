"""A shared bottom with a tower a task."""

import keras

from keras_recs.layers import MLP, PredictionHeads, TaskTowers
from keras_recs.models.shared_features import shared_features


def shared_bottom(
    schema,
    embedding_dim=16,
    hidden_units=(256, 128),
    tower_units=(64,),
    dropout=0.0,
    batch_norm=False,
    bottom=None,
    bottom_arguments=None,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds a model in which all tasks read one tower.

    Args:
        schema: a fitted `keras_recs.Schema`; each label is a task.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
        hidden_units: ints. Widths of the shared tower. Defaults to `(256, 128)`.
        tower_units: ints. Widths of the tower of each task; `()` for a dense unit
            alone. Defaults to `(64,)`.
        dropout: float. Rate in the towers. Defaults to `0.0`.
        batch_norm: bool. Normalize in the shared tower. Defaults to `False`.
        bottom: name or builder of a ranking model, such as `"dcn_v2"`, whose features
            the shared tower reads. Defaults to `None`: the embeddings and the numbers.
        bottom_arguments: dict of the ranking model's own arguments. Defaults to `None`.
        embeddings_regularizer: strength of a `BatchL2`, or Keras regularizer, of all
            tables. Defaults to `None`.
        embedding_options: `EmbeddingOptions` or a dict of its arguments: how the tables
            are stored. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Returns:
        Functional `keras.Model`: dict of features to dict of labels `(B, 1)`.

    Raises:
        ValueError: for a schema that is not fitted, has no label, and for a bottom that
            is none.

    Reference: [Caruana, 1997](https://doi.org/10.1023/A:1007379606734)
    """
    # === Inputs and Embed ===
    inputs, x, logits = shared_features(
        schema,
        "A shared bottom",
        embedding_dim,
        bottom,
        bottom_arguments,
        embeddings_regularizer,
        embedding_options,
    )  # (B, N)
    # === Tower ===
    shared = MLP(
        hidden_units, dropout=dropout, batch_norm=batch_norm, seed=seed, name="shared"
    )(x)  # (B, H)
    towers = TaskTowers(
        max(1, len(schema.labels)),
        tower_units,
        dropout=dropout,
        seed=None if seed is None else seed + 100,
        name="towers",
    )(shared)  # (B, K)
    # === Head ===
    heads = PredictionHeads(schema.tasks, name="heads")
    return keras.Model(
        inputs, heads([], logits=[towers, *logits]), name="shared_bottom"
    )
