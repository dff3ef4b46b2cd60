"""Progressive layered extraction."""

import keras

from keras_recs.layers import ExtractionBlock, PredictionHeads, TaskTowers
from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.models.shared_features import shared_features


def ple(
    schema,
    embedding_dim=16,
    num_layers=2,
    num_experts=(2, 1),
    hidden_units=(128,),
    tower_units=(64,),
    dropout=0.0,
    bottom=None,
    bottom_arguments=None,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds PLE: experts of each task beside shared ones, in levels.

    Args:
        schema: a fitted `keras_recs.Schema`; each label is a task.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
        num_layers: int. Levels of extraction; one is CGC. Defaults to `2`.
        num_experts: pair of ints. Experts of each task, and shared ones, at each level.
            Defaults to `(2, 1)`.
        hidden_units: ints. Widths of each expert. Defaults to `(128,)`.
        tower_units: ints. Widths of the tower of each task; `()` for a dense unit
            alone. Defaults to `(64,)`.
        dropout: float. Rate in experts and towers. Defaults to `0.0`.
        bottom: name or builder of a ranking model, such as `"dcn_v2"` or `"fm"`, whose
            features the first level reads. Defaults to `None`: the embeddings and the
            numbers.
        bottom_arguments: dict of the ranking model's own arguments. Defaults to `None`.
        embeddings_regularizer: strength of a `BatchL2`, or Keras regularizer, of all
            tables. Defaults to `None`.
        embedding_options: `EmbeddingOptions` or a dict of its arguments: how the tables
            are stored. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Returns:
        Functional `keras.Model`: dict of features to dict of labels `(B, 1)`.

    Raises:
        ValueError: for a schema that is not fitted, has no label, for numbers that are
            not positive integers, and for a bottom that is none.

    Reference: [Tang et al., 2020](https://dl.acm.org/doi/10.1145/3383313.3412236)
    """
    (num_layers,) = checked_sizes("num_layers", (num_layers,))
    # === Inputs and Embed ===
    inputs, x, logits = shared_features(
        schema,
        "PLE",
        embedding_dim,
        bottom,
        bottom_arguments,
        embeddings_regularizer,
        embedding_options,
    )  # (B, N)
    # === Experts ===
    num_tasks = max(1, len(schema.labels))
    for i in range(num_layers):
        x = ExtractionBlock(
            num_tasks,
            num_experts,
            hidden_units,
            is_last=i == num_layers - 1,
            dropout=dropout,
            seed=None if seed is None else seed + 100 * i,
            name=f"extraction_{i}",
        )(x)  # (B, K + 1, H), of the last level (B, K, H)
    # === Tower ===
    towers = TaskTowers(
        num_tasks,
        tower_units,
        dropout=dropout,
        seed=None if seed is None else seed + 100 * num_layers,
        name="towers",
    )(x)  # (B, K)
    # === Head ===
    heads = PredictionHeads(schema.tasks, name="heads")
    return keras.Model(inputs, heads([], logits=[towers, *logits]), name="ple")
