"""Deep Interest Evolution Network."""

import keras

from keras_recs.layers import (
    AUGRU,
    MLP,
    BilinearAttention,
    FeatureEmbedding,
    InterestExtractor,
    PredictionHeads,
    UniformNegatives,
)
from keras_recs.models.build_inputs import (
    build_inputs,
    check_id_features,
    embedding_arguments,
    stack_numbers,
)
from keras_recs.models.histories import (
    candidate_of,
    events_of,
    find_histories,
    keep_sequences,
    mask_of,
)
from keras_recs.models.table_rows import table_rows


def dien(
    schema,
    embedding_dim=16,
    auxiliary_weight=1.0,
    targets=None,
    hidden_units=(200, 80),
    activation="dice",
    dropout=0.0,
    batch_norm=False,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds DIEN: how the interest in the candidate evolved.

    Histories and candidates are found as in `din`. A GRU as wide as an event reads each
    history; its states are weighed by their fit to the candidate and read by an AUGRU,
    whose last state goes into the tower. A history of padding alone counts as zeros.

    In training the GRU's states must also tell the next event from one drawn at random:
    each attribute for itself, evenly over the rows of its table behind the
    out-of-vocabulary ones, never the right one. Of a table with `max_keys` these are
    also rows that no value has yet. A deviation: the authors' code draws an item as
    often as it occurs in the log and takes its category with it, where ours may pair
    an item with a category that it does not have.

    Args:
        schema: a fitted `keras_recs.Schema`.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
        auxiliary_weight: float. Weight of the loss on next events; with 0 nothing is
            drawn. Defaults to `1.0`.
        targets: dict of sequence feature to the single-valued feature that it is held
            against where that is not the one of its table, or to `None` for a sequence
            that is pooled. Defaults to `None`.
        hidden_units: ints. Widths of the tower. Defaults to `(200, 80)`.
        activation: of the tower: a Keras activation, `"dice"` or `"prelu"`, or a Keras
            layer, which is copied for each use. Defaults to `"dice"`.
        dropout: float. Rate in the tower. Defaults to `0.0`.
        batch_norm: bool. Normalize in the tower. Defaults to `False`.
        embeddings_regularizer: strength of a `BatchL2`, or Keras regularizer, of all
            tables. Defaults to `None`. The rows of negatives count as rows of the
            batch.
        embedding_options: `EmbeddingOptions` or a dict of its arguments: how the tables
            are stored. Defaults to `None`.
        seed: int. Seed of the dropout and the negatives. Defaults to `None`.

    Returns:
        Functional `keras.Model`: dict of features to dict of labels `(B, 1)`.

    Raises:
        ValueError: for a schema that is not fitted, has no label, no categorical
            feature or no history, for `targets` that are no such features, for a
            negative weight, and for a table of a single value.

    Reference: [Zhou et al., 2019](https://arxiv.org/abs/1809.03672)
    """
    # === Inputs ===
    inputs = build_inputs(schema)
    rows = table_rows(schema, inputs)
    check_id_features(schema, "DIEN")
    histories = find_histories(schema, "DIEN", targets)
    numbers = stack_numbers(schema, inputs)  # (B, N)
    # === Embed ===
    arguments = embedding_arguments(schema, embedding_dim, options=embedding_options)
    arguments = keep_sequences(arguments, histories)
    negatives = {}
    if auxiliary_weight:
        negatives = _draw_negatives(schema, histories, rows, seed)
        for name in negatives:
            arguments["features"][name] = arguments["features"][_drawn_for(name)]
    embedding = FeatureEmbedding(
        **arguments, embeddings_regularizer=embeddings_regularizer, name="embedding"
    )
    # (B, F, D), {name: (B, T, D)}
    fields, sequences = embedding({**rows, **negatives})
    # === Interact ===
    interests = []
    for i, history in enumerate(histories):
        mask = mask_of(history, rows)  # (B, T)
        parts = [events_of(history.sequences, sequences), mask]  # (B, T, n·D)
        if auxiliary_weight:
            drawn = [_negative_of(name) for name in history.sequences]
            parts.append(events_of(drawn, sequences))
        states = InterestExtractor(auxiliary_weight, name=f"extractor_{i}")(parts)
        candidate = candidate_of(history, fields, embedding.field_names)  # (B, n·D)
        attention = BilinearAttention(name=f"attention_{i}")
        weights = attention([candidate, states, mask])  # (B, T)
        evolution = AUGRU(states.shape[-1], name=f"evolution_{i}")
        interests.append(evolution([states, weights, mask]))  # (B, n·D)
    # === Tower ===
    parts = [keras.layers.Flatten(name="fields")(fields), *interests]
    if numbers is not None:
        parts.append(numbers)
    x = keras.layers.Concatenate(name="features")(parts)
    deep = MLP(hidden_units, activation, batch_norm, dropout, seed=seed, name="deep")(x)
    # === Head ===
    outputs = PredictionHeads(schema.tasks, name="heads")([deep])
    return keras.Model(inputs, outputs, name="dien")


def _draw_negatives(schema, histories, rows, seed):
    """Drawn rows beside each sequence, by a name that no feature has."""
    drawn = {}
    names = [name for history in histories for name in history.sequences]
    for i, name in enumerate(names):
        table = schema.tables[schema[name].table_name]
        if table.num_rows - table.num_oov < 3:
            raise ValueError(
                f"Feature '{name}': DIEN draws other values of its table than those of "
                "the history, and needs two at least; give `auxiliary_weight=0`, or "
                f"leave the feature out. Received: table '{table.name}' with "
                f"{table.num_values}"
            )
        layer = UniformNegatives(
            table.num_rows,
            first_row=1 + table.num_oov,
            seed=None if seed is None else seed + i,
            name=f"negatives_{i}",
        )
        drawn[_negative_of(name)] = layer(rows[name])  # (B, T) or (B, 0)
    return drawn


def _negative_of(name):
    return f"{name}/negative"  # a feature's name has no slash


def _drawn_for(name):
    return name.removesuffix("/negative")
