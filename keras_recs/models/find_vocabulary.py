"""The layer of a model that holds the keys of a table."""

from keras_recs.layers.embedding.dynamic_vocabulary import DynamicVocabulary
from keras_recs.models.table_rows import vocabulary_names


def find_vocabulary(model, schema, table):
    """The layer that holds the keys of a table.

    Args:
        model: Keras model.
        schema: the fitted `keras_recs.Schema` that the model was built from.
        table: string. Name of a table whose features have `max_keys`.

    Returns:
        `DynamicVocabulary`.

    Raises:
        ValueError: for another table, and if the model has no such layer.
    """
    names = vocabulary_names(schema)
    if table not in names:
        raise ValueError(
            f"The schema has no table '{table}' with `max_keys`. Received: "
            f"table='{table}'; those with it are {sorted(names)}"
        )
    layers = {
        layer.name: layer
        for layer in model._flatten_layers()
        if isinstance(layer, DynamicVocabulary)
    }
    if names[table] not in layers:
        raise ValueError(
            f"Model '{model.name}' has no DynamicVocabulary '{names[table]}' for table "
            f"'{table}'. There are: {sorted(layers)}. Build the model from this schema "
            "by a builder of keras_recs.models or with `table_rows`."
        )
    return layers[names[table]]
