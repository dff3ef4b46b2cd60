"""Multi-gate mixture of experts."""

import keras

from keras_recs.layers import (
    ExpertGate,
    Experts,
    MultiGate,
    PredictionHeads,
    TaskTowers,
)
from keras_recs.models.shared_features import shared_features


def mmoe(
    schema,
    embedding_dim=16,
    num_experts=8,
    hidden_units=(256, 128),
    tower_units=(64,),
    shared_gate=False,
    dropout=0.0,
    bottom=None,
    bottom_arguments=None,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds MMoE: experts that all tasks share, mixed by a gate a task.

    Args:
        schema: a fitted `keras_recs.Schema`; each label is a task.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
        num_experts: int. Defaults to `8`.
        hidden_units: ints. Widths of each expert. Defaults to `(256, 128)`.
        tower_units: ints. Widths of the tower of each task; `()` for a dense unit
            alone. Defaults to `(64,)`.
        shared_gate: bool. One gate for all tasks (OMoE). Defaults to `False`.
        dropout: float. Rate in experts and towers. Defaults to `0.0`.
        bottom: name or builder of a ranking model, such as `"dcn_v2"`, whose features
            experts and gates read. Defaults to `None`: the embeddings and the numbers.
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

    Reference: [Ma et al., 2018](https://dl.acm.org/doi/10.1145/3219819.3220007):
    y_k = h^k(Σ_i softmax(W_k x)_i f_i(x))
    """
    # === Inputs and Embed ===
    inputs, x, logits = shared_features(
        schema,
        "MMoE",
        embedding_dim,
        bottom,
        bottom_arguments,
        embeddings_regularizer,
        embedding_options,
    )  # (B, N)
    # === Experts ===
    num_tasks = max(1, len(schema.labels))
    experts = Experts(
        num_experts, hidden_units, dropout=dropout, seed=seed, name="experts"
    )(x)  # (B, E, H)
    if shared_gate:
        mixtures = ExpertGate(name="gate")([x, experts])  # (B, H)
    else:
        mixtures = MultiGate(num_tasks, name="gates")([x, experts])  # (B, K, H)
    # === Tower ===
    towers = TaskTowers(
        num_tasks,
        tower_units,
        dropout=dropout,
        seed=None if seed is None else seed + 100,
        name="towers",
    )(mixtures)  # (B, K)
    # === Head ===
    heads = PredictionHeads(schema.tasks, name="heads")
    return keras.Model(inputs, heads([], logits=[towers, *logits]), name="mmoe")
