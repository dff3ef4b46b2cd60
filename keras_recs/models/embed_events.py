"""Vectors of events."""

import keras

from keras_recs.layers import AttributedItemTable, ItemTable
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.models.layer_name import layer_name


def embed_events(schema, inputs, events, scale=1.0, **table):
    """Reads items, and adds the vectors of what else is known of the events.

    Args:
        schema: a fitted `keras_recs.Schema`.
        inputs: what `event_inputs` gave.
        events: `ItemEvents`.
        scale: float. The items' vectors are multiplied with it. Defaults to `1.0`.
        **table: `embedding_dim`, `num_shards` and `initializer` of the items' table,
            the layer `"items"`.

    Returns:
        Symbolic `(B, T, D)`.

    Raises:
        ValueError: for attributes that do not fit the items' table.
    """
    (name, rows), *others = inputs.items()
    names = {feature.name: feature.table_name for feature in schema.features}
    sizes = schema.tables[names[name]]
    if events.attributes is None:
        items = ItemTable(sizes.num_rows, **table, name="items")
    else:
        items = _with_attributes(events.attributes, sizes, table)
    x = items(rows)
    x = x if scale == 1.0 else x * scale  # (B, T, D)
    tables: dict[str, ItemTable] = {}
    for other, values in others:
        key = names[other]
        if key not in tables:
            # 1 is for places.
            initializer = renewed_initializer(table["initializer"], 2 + len(tables))
            tables[key] = ItemTable(
                schema.tables[key].num_rows,
                **{**table, "initializer": initializer},
                name=layer_name("table", key),
            )
        x = keras.layers.Add(name=layer_name("with", other))([x, tables[key](values)])
    return x


def _with_attributes(attributes, sizes, table):
    first_row = 1 + sizes.num_oov
    if len(attributes) != sizes.num_rows or attributes[:first_row].any():
        raise ValueError(
            f"`attributes` must be (rows, n) of the {sizes.num_rows} rows of the "
            f"items' table, of which the first {first_row} have none. Received: "
            f"shape={attributes.shape}"
        )
    items = AttributedItemTable(
        sizes.num_rows,
        num_attributes=int(attributes.max()),
        max_attributes=attributes.shape[1],
        **table,
        name="items",
    )
    items.set_attributes(attributes)
    return items
