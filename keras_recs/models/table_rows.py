"""From the inputs of a model to the rows of its tables."""

from keras import ops

from keras_recs.layers.embedding.dynamic_vocabulary import DynamicVocabulary
from keras_recs.layers.embedding.scope_names import scope_names
from keras_recs.schema import MultiValuedFeature, SequenceFeature


def table_rows(schema, inputs):
    """Looks up the keys of tables that grow in training; other inputs are rows already.

    A table has one `DynamicVocabulary`, which all features that use it call together:
    they are one step of its training, and its rows serve every layer behind.

    Args:
        schema: a fitted `keras_recs.Schema`.
        inputs: dict of feature name to a symbolic tensor, as `build_inputs` returns it.

    Returns:
        The dict with int32 rows in the place of the keys.

    Example:
    >>> schema = keras_recs.Schema([keras_recs.CategoricalFeature("user", max_keys=9)])
    >>> inputs = keras_recs.models.build_inputs(schema)
    >>> {name: rows.dtype for name, rows in table_rows(schema, inputs).items()}
    {'user': 'int32'}
    """
    rows = dict(inputs)
    for table, layer_name in vocabulary_names(schema).items():
        owner = schema.table_owners[table]
        users = [f for f in schema.id_features if f.table_name == table]
        vocabulary = DynamicVocabulary(
            owner.max_keys,
            admission_count=owner.admission_count,
            num_oov=owner.num_oov,
            expire_after=owner.expire_after,
            name=layer_name,
        )
        found = vocabulary([inputs[feature.name] for feature in users])
        for feature, row in zip(users, found, strict=True):
            if not isinstance(feature, (MultiValuedFeature, SequenceFeature)):
                # Row 0 is for padding: a missing value is out of vocabulary.
                row = ops.maximum(row, 1)
            rows[feature.name] = row
    return rows


def vocabulary_names(schema):
    """Names of the `DynamicVocabulary` layers, by table."""
    tables = schema.tables.items()
    return scope_names("keys", [t for t, table in tables if table.kind == "dynamic"])
