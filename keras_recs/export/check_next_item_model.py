"""Whether a model of sequences and a schema belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_recs.export.recommending import Recommending
from keras_recs.schema import Schema, SequenceFeature

if TYPE_CHECKING:
    from keras_recs.models import NextItemModel


def check_next_item_model(
    model: NextItemModel, schema: Schema, recommending: Recommending
) -> None:
    """Compares input and catalogue of a model with a schema.

    Raises:
        ValueError: for a model that reads other features than the schema has, for a
            table of another size, for items whose raw values nobody can turn back
            (hashed, or learnt in training), and a catalogue that is too small.
    """
    (feature, *others) = schema.features
    names = list(model.input) if isinstance(model.input, dict) else []
    if others or names != [feature.name] or not isinstance(feature, SequenceFeature):
        raise ValueError(
            f"Model '{model.name}' must have one input, the one feature of the schema, "
            f"a sequence. Received: inputs {names}, features "
            f"{list(schema.feature_names)}"
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
