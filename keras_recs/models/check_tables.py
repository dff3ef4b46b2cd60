"""Whether the tables of a model are those of a schema."""

from keras_recs.layers import FeatureEmbedding, LinearTerm


def check_tables(model, schema):
    """Compares the size of each table, and what it was built for.

    The rows of a table stand for the values of one vocabulary in its order, for hashes,
    or for what lies between some boundaries: with another schema, each value would
    silently read the row of another. How numbers are transformed leaves no trace in a
    model and is not compared.

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
            is_other = config.fingerprint not in (
                None,
                schema.table_fingerprint(config.name),
            )
            if table.num_rows != config.num_rows or is_other:
                users = [
                    feature.name
                    for feature in schema.id_features
                    if feature.table_name == table.name
                ]
                raise ValueError(
                    f"Table '{table.name}' of model '{model.name}' was built for other "
                    f"values than the schema's, which features {users} use. Use the "
                    "schema that the model was built from, such as the schema.json of "
                    "its run directory, or train anew. Received: a table of kind "
                    f"'{table.kind}' with {table.num_rows} rows in the schema, and "
                    f"{config.num_rows} rows in layer '{layer.name}'"
                )
