"""Whether a model of sequences and a schema belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_recs.export.recommending import Recommending
from keras_recs.models.layer_name import layer_name
from keras_recs.schema import Schema, SequenceFeature

if TYPE_CHECKING:
    from keras_recs.models import NextItemModel


def check_next_item_model(
    model: NextItemModel, schema: Schema, recommending: Recommending
) -> None:
    """Compares inputs, tables and catalogue of a model with a schema.

    Raises:
        ValueError: for a model that reads other features than the schema has, for a
            table of another size, for items whose raw values nobody can turn back
            (hashed, or learnt in training), and a catalogue that is too small.
    """
    inputs = model.query_model().input
    names = sorted(inputs) if isinstance(inputs, dict) else []
    kinds = {
        (feature.max_length, feature.padding)
        for feature in schema.features
        if isinstance(feature, SequenceFeature)
    }
    if (
        names != sorted(schema.feature_names)
        or len(kinds) != 1
        or not all(isinstance(feature, SequenceFeature) for feature in schema.features)
    ):
        raise ValueError(
            f"Model '{model.name}' must read the features of the schema, sequences of "
            f"one length and padding. Received: inputs {names}, features "
            f"{list(schema.feature_names)} with {sorted(kinds)}"
        )
    feature = schema[model.items_input]
    layers = {layer.name: layer for layer in model.layers}
    for other in schema.features:
        rows = schema.tables[other.table_name].num_rows
        layer = layers.get(layer_name("table", other.table_name))
        if other is feature or layer is None or layer.num_rows == rows:
            continue
        raise ValueError(
            f"Feature '{other.name}': the table of model '{model.name}' is not that of "
            f"the schema. Received: {layer.num_rows} rows in the model, and {rows} in "
            "the schema. Export with the schema that the model was built from."
        )
    table = schema.tables[feature.table_name]
    if table.kind not in ("vocabulary", "identity"):
        raise ValueError(
            f"Feature '{feature.name}': an export that recommends gives items by their "
            "raw values, so it needs a vocabulary or `vocabulary_size`. Received: a "
            f"table of kind '{table.kind}'"
        )
    rows, first = model.item_table.num_rows, model.first_row
    if (rows, first) != (table.num_rows, 1 + table.num_oov):
        raise ValueError(
            f"Feature '{feature.name}': the items of model '{model.name}' are not "
            f"those of the schema. Received: {rows} rows, of which {first} are no "
            f"items, in the model, and {table.num_rows}, {1 + table.num_oov}, in the "
            "schema. Export with the schema that the model was built from."
        )
    if recommending.top_k > rows - first:
        raise ValueError(
            f"`top_k` must be at most the number of items, {rows - first}. Received: "
            f"top_k={recommending.top_k}"
        )
