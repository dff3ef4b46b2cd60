"""How often each row of a table occurs."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_recs.schema import Schema


def row_counts(dataset: Any, schema: Schema) -> dict[str, np.ndarray]:
    """Counts the rows of all tables in a data set, which is read once.

    Args:
        dataset: batches of `(inputs, …)`, as `tfrecord_dataset` makes them.
        schema: the fitted `keras_recs.Schema` that they were made with.

    Returns:
        dict of table name to int64 `(num_rows,)`, summed over the features that share a
        table; padding counts 0. Tables whose keys are learnt in training (`max_keys`)
        are left out.
    """
    schema.check_fitted("row_counts")
    features = [
        feature
        for feature in schema.id_features
        if schema.tables[feature.table_name].kind != "dynamic"
    ]
    counts = {
        name: np.zeros(table.num_rows, np.int64)
        for name, table in schema.tables.items()
        if table.kind != "dynamic"
    }
    for inputs, *_ in dataset:
        for feature in features:
            count = counts[feature.table_name]
            rows = np.asarray(inputs[feature.name]).reshape(-1)
            count += np.bincount(rows, minlength=len(count))
    for count in counts.values():
        count[0] = 0
    return counts
