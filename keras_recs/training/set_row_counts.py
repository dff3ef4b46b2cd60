"""How often the rows of a model's tables occur in the training data."""

from __future__ import annotations

from typing import Any

import keras

from keras_recs.data import row_counts
from keras_recs.layers import FeatureEmbedding
from keras_recs.schema import Schema


def set_row_counts(model: keras.Model, schema: Schema, dataset: Any) -> None:
    """Counts the rows of all tables for `BatchL2(by_count=True)`.

    Those of the first-order weights too. Where nothing divides by counts, the data are
    not read. The model is saved with its counts. `pipelines.train` does this by itself.

    Args:
        model: built Keras model.
        schema: the fitted `keras_recs.Schema` that the model was built from.
        dataset: the training data: batches of `(inputs, …)`, read once.

    Raises:
        ValueError: for a table whose keys are learnt in training.

    Example: `set_row_counts(model, schema, train)`
    """
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, FeatureEmbedding) and layer.row_counts
    ]
    if not layers:
        return
    for layer in layers:
        for feature, table in layer.features.items():
            if table in schema.tables and schema.tables[table].kind == "dynamic":
                raise ValueError(
                    f"Feature '{feature}': the rows of table '{table}' in layer "
                    f"'{layer.name}' cannot be counted before training, in which "
                    "`max_keys` gives them to keys. Use `BatchL2` without `by_count`. "
                    f"Received: a table of {schema.tables[table].num_rows} rows"
                )
    counts = row_counts(dataset, schema)
    for layer in layers:
        for table in layer.tables:
            if table.name in counts:  # else it is of a model of one's own
                layer.set_row_counts(table.name, counts[table.name])
