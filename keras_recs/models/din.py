"""Deep Interest Network."""

import keras

from keras_recs.layers import MLP, FeatureEmbedding, PredictionHeads, TargetAttention
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


def din(
    schema,
    embedding_dim=16,
    attention_units=(80, 40),
    use_softmax=False,
    targets=None,
    hidden_units=(200, 80),
    activation="dice",
    dropout=0.0,
    batch_norm=False,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds DIN: the candidate attends to the user's histories.

    A sequence feature that shares its table with a single-valued feature is a history,
    and that feature the candidate. Sequences of one `max_length` and padding that are
    held against different features are attributes of the same events (items and their
    categories): their embeddings lie side by side, and so do the candidate's. Where a
    feature comes a second time, another history begins, in the order of the schema. An
    event is there if any of its attributes is. Sequences without such a feature are
    pooled by their combiner. A history of padding alone counts as zeros.

    Args:
        schema: a fitted `keras_recs.Schema`.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
        attention_units: ints. Widths of the attention's MLP. Defaults to `(80, 40)`.
        use_softmax: bool. Weights of a history that sum to 1. Defaults to `False`, as
            in the paper.
        targets: dict of sequence feature to the single-valued feature that it is held
            against where that is not the one of its table, or to `None` for a sequence
            that is pooled. Defaults to `None`.
        hidden_units: ints. Widths of the tower. Defaults to `(200, 80)`.
        activation: of the tower and the attention: a Keras activation, `"dice"` or
            `"prelu"`, or a Keras layer, which is copied for each use. Defaults to
            `"dice"`.
        dropout: float. Rate in the tower. Defaults to `0.0`.
        batch_norm: bool. Normalize in the tower. Defaults to `False`.
        embeddings_regularizer: strength of a `BatchL2`, or Keras regularizer, of all
            tables. Defaults to `None`. The paper's, which is aware of mini-batches, is
            `BatchL2(by_count=True)`, which needs
            `keras_recs.training.set_row_counts(model, schema, train)` before training.
        embedding_options: `EmbeddingOptions` or a dict of its arguments: how the tables
            are stored. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Returns:
        Functional `keras.Model`: dict of features to dict of labels `(B, 1)`.

    Raises:
        ValueError: for a schema that is not fitted, has no label, no categorical
            feature or no history, and for `targets` that are no such features.

    Example:
    >>> schema = keras_recs.Schema(
    ...     features=[
    ...         keras_recs.CategoricalFeature("item", vocabulary_size=3),
    ...         keras_recs.SequenceFeature("history", table="item", max_length=4),
    ...     ],
    ...     labels=[keras_recs.Label("click")],
    ... )
    >>> regularizer = keras_recs.layers.BatchL2(1e-4, by_count=True)
    >>> model = keras_recs.models.din(schema, embeddings_regularizer=regularizer)
    >>> data = {"item": [0, 2], "history": [[1], [0, 2]], "click": [0, 1]}
    >>> train = keras_recs.data.array_dataset(data, schema, batch_size=2)
    >>> keras_recs.training.set_row_counts(model, schema, train)

    Reference: [Zhou et al., 2018](https://arxiv.org/abs/1706.06978)
    """
    # === Inputs ===
    inputs = build_inputs(schema)
    rows = table_rows(schema, inputs)
    check_id_features(schema, "DIN")
    histories = find_histories(schema, "DIN", targets)
    numbers = stack_numbers(schema, inputs)  # (B, N)
    # === Embed ===
    arguments = embedding_arguments(schema, embedding_dim, options=embedding_options)
    embedding = FeatureEmbedding(
        **keep_sequences(arguments, histories),
        embeddings_regularizer=embeddings_regularizer,
        name="embedding",
    )
    fields, sequences = embedding(rows)  # (B, F, D), {name: (B, T, D)}
    # === Interact ===
    interests = []
    for i, history in enumerate(histories):
        candidate = candidate_of(history, fields, embedding.field_names)  # (B, n·D)
        events = events_of(history.sequences, sequences)  # (B, T, n·D)
        attention = TargetAttention(
            attention_units, activation, use_softmax, name=f"attention_{i}"
        )
        interest = attention([candidate, events, mask_of(history, rows)])
        interests.append(interest)  # (B, n·D)
    # === Tower ===
    parts = [keras.layers.Flatten(name="fields")(fields), *interests]
    if numbers is not None:
        parts.append(numbers)
    x = keras.layers.Concatenate(name="features")(parts)
    deep = MLP(hidden_units, activation, batch_norm, dropout, seed=seed, name="deep")(x)
    # === Head ===
    outputs = PredictionHeads(schema.tasks, name="heads")([deep])
    return keras.Model(inputs, outputs, name="din")
