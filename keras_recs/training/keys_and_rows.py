"""The keys of a model's table, and where they lie."""

import numpy as np

from keras_recs.models.find_vocabulary import find_vocabulary
from keras_recs.preprocessing.table_keys import first_row, table_keys


def keys_and_rows(model, schema, table):
    """The keys of a table of a model, and the row of each.

    Args:
        model: a model that was built from the schema.
        schema: a fitted `keras_recs.Schema`.
        table: string. Name of a table of the schema.

    Returns:
        Pair of `(n,)` keys as `table_keys` gives them, or int64 hashes of the keys
        that have a row where the model learns them, and `(n,)` rows that increase.
    """
    config = schema.tables.get(table)
    if config is not None and config.kind == "dynamic":
        keys, rows, _ = find_vocabulary(model, schema, table).vocabulary()
        return keys.astype("int64"), rows.astype("int64")
    keys = table_keys(schema, table)
    return keys, first_row(schema, table) + np.arange(len(keys))
