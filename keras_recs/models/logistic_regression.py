"""Logistic regression."""

import keras

from keras_recs.layers import LinearTerm, PredictionHeads
from keras_recs.models.build_inputs import build_inputs, stack_numbers, table_arguments
from keras_recs.models.embedding_options import EmbeddingOptions
from keras_recs.models.table_rows import table_rows


def logistic_regression(schema, kernel_regularizer=None, embedding_options=None):
    """Builds σ(w·x + b): one weight per feature value, no interactions.

    Args:
        schema: a fitted `keras_recs.Schema`.
        kernel_regularizer: strength of a `BatchL2`, or Keras regularizer, of the
            weights. Defaults to `None`.
        embedding_options: `EmbeddingOptions` or a dict of its arguments: how the
            weights are stored. Defaults to `None`.

    Returns:
        Functional `keras.Model`: dict of features to dict of labels `(B, 1)`.

    Raises:
        ValueError: for a schema that is not fitted or has no label, and for options
            with `embedding_dims`.
    """
    options = EmbeddingOptions.of(embedding_options)
    if options.embedding_dims:
        raise ValueError(
            "Logistic regression takes no `embedding_dims`: it has one weight a value. "
            f"Received: embedding_dims={options.embedding_dims}"
        )
    # === Inputs ===
    inputs = build_inputs(schema)
    rows = table_rows(schema, inputs)
    numbers = stack_numbers(schema, inputs)  # (B, N)
    # === Interact ===
    logits = LinearTerm(
        **table_arguments(schema, embedding_dim=1, options=options),
        units=max(1, len(schema.labels)),
        kernel_regularizer=kernel_regularizer,
        name="linear",
    )(rows, numbers=numbers)  # (B, K)
    # === Head ===
    outputs = PredictionHeads(schema.tasks, name="heads")([], logits=[logits])
    return keras.Model(inputs, outputs, name="logistic_regression")
