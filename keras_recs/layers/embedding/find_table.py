"""A table of a model."""

from keras_recs.layers.embedding.feature_embedding import FeatureEmbedding


def find_table(model, table, layer="embedding"):
    """The layer that holds a table, and the table's size.

    Args:
        model: Keras model.
        table: string. Name of the table.
        layer: string. Name of the `FeatureEmbedding`. Defaults to `"embedding"`.

    Returns:
        Pair of the layer and the `TableConfig`.

    Raises:
        ValueError: if the model has no such layer or table; what it has is named.
    """
    layers = {
        found.name: found
        for found in model._flatten_layers()
        if isinstance(found, FeatureEmbedding)
    }
    if layer not in layers:
        raise ValueError(
            f"Model '{model.name}' has no FeatureEmbedding '{layer}'. There are: "
            f"{sorted(layers)}"
        )
    tables = {config.name: config for config in layers[layer].tables}
    if table not in tables:
        raise ValueError(
            f"Layer '{layer}' has no table '{table}'. There are: {sorted(tables)}"
        )
    return layers[layer], tables[table]
