"""Whether the tables of a model are those of a schema."""

from keras_recs.layers import FeatureEmbedding, LinearTerm


def check_tables(model, schema):
    """Compares the size of each table, and the vocabulary that it was built for.

    The rows of a table stand for the values of one vocabulary in its order: behind
    another one, each value would silently read the row of another.

    Args:
        model: Keras model.
        schema: a fitted `keras_recs.Schema`.

    Raises:
        ValueError: for a table of another size or vocabulary; its features are named.
    """
    for layer in model._flatten_layers():
        if not isinstance(layer, (FeatureEmbedding, LinearTerm)):
            continue
        for config in layer.tables:
            table = schema.tables.get(config.name)
            if table is None:
                continue  # of a model of one's own
            fitted = schema.vocabularies.get(config.name)
            is_other = None not in (config.vocabulary, fitted) and (
                config.vocabulary != fitted.sha256
            )
            if table.num_rows != config.num_rows or is_other:
                users = [
                    f.name for f in schema.id_features if f.table_name == table.name
                ]
                raise ValueError(
                    f"Table '{table.name}' of model '{model.name}' was built for "
                    f"another vocabulary than the schema's, which features {users} "
                    "use. Use the schema that the model was built from, such as the "
                    "schema.json of its run directory, or train anew. Received: "
                    f"{table.num_rows} rows in the schema, {config.num_rows} in layer "
                    f"'{layer.name}'"
                )
