"""The keys of an embedding table."""

import numpy as np


def table_keys(schema, table):
    """The raw value that each row of a table stands for.

    Args:
        schema: a fitted `keras_recs.Schema`.
        table: string. Name of a table of the schema.

    Returns:
        NumPy array `(num_values,)`: strings of a vocabulary's table, else int64 ids,
        hash bins or buckets. Key i has row `first_row(schema, table) + i`.

    Raises:
        ValueError: for an unknown table, a vocabulary that is not the fitted one, or a
            table whose keys the model learns.
    """
    from keras_recs.preprocessing.check_vocabularies import check_vocabularies

    config = _table(schema, table)
    if config.kind == "dynamic":
        raise ValueError(
            f"The keys of table '{table}' are learnt in training, so the model has "
            "them, not the schema: call `vocabulary()` of its DynamicVocabulary."
        )
    if config.kind != "vocabulary":
        return np.arange(config.num_values, dtype="int64")
    check_vocabularies(schema)
    with open(schema.vocabularies[table].path, encoding="utf-8", newline="\n") as file:
        keys = [line.removesuffix("\n") for line in file]
    return np.array(keys, dtype=object)


def first_row(schema, table):
    """The row of a table's first key, behind padding and out of vocabulary."""
    return 1 + _table(schema, table).num_oov


def _table(schema, table):
    if table not in schema.tables:
        raise ValueError(
            f"The schema has no table '{table}'. There are: {sorted(schema.tables)}"
        )
    return schema.tables[table]
