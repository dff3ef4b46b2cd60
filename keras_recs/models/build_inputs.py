"""The Keras inputs of a schema."""

import keras
from keras import ops

from keras_recs.layers.embedding.table_config import TableConfig
from keras_recs.layers.feature_input import FeatureInput
from keras_recs.models.embedding_options import EmbeddingOptions
from keras_recs.schema import (
    MultiValuedFeature,
    NumericFeature,
    Schema,
    SequenceFeature,
)


def build_inputs(schema):
    """Makes one Keras input a feature, crosses included.

    Args:
        schema: a fitted `keras_recs.Schema`.

    Returns:
        dict of feature name to a symbolic tensor: float32 `(B,)` for numbers, int32
        (int64 where the table has 2³¹ rows or more) `(B,)` for single-valued, `(B, L)`
        for multi-valued and `(B, T)` for sequence features. Those with `max_keys` are
        int64 keys, which `table_rows` looks up. The weights of a feature's values
        follow it by the name of their column, float32 `(B, L)`.

    Raises:
        TypeError: for what is not a schema, such as its path.
        ValueError: for a schema that is not fitted, and under a policy that computes in
            float16 for numbers that no transform keeps within its range.
    """
    if not isinstance(schema, Schema):
        raise TypeError(
            "`schema` must be a keras_recs.Schema, as `keras_recs.Schema.load(path)` "
            f"reads it. Received: schema={schema!r}"
        )
    schema.check_fitted("A model")
    _check_range(schema)
    inputs = {}
    numbers = {feature.name for feature in schema.numeric_features}
    for feature in schema.features:
        shape = ()
        if isinstance(feature, (MultiValuedFeature, SequenceFeature)):
            shape = (feature.max_length,)
        dtype = "float32" if feature.name in numbers else "int32"
        if dtype == "int32":
            table = schema.tables[feature.table_name]
            is_wide = table.kind == "dynamic" or table.num_rows >= 2**31
            dtype = "int64" if is_wide else "int32"
        inputs[feature.name] = FeatureInput(feature.name, shape, dtype).output
        weights = schema.value_weights.get(feature.name)
        if weights is not None:
            inputs[weights] = FeatureInput(weights, shape, "float32").output
    return inputs


def stack_numbers(schema, inputs):
    """Numeric features side by side as `(B, N)`, or `None` where there are none."""
    names = [feature.name for feature in schema.numeric_features]
    if not names:
        return None
    return ops.stack([inputs[name] for name in names], axis=1)  # (B, N)


def table_arguments(schema, embedding_dim, features=None, options=None):
    """What `FeatureEmbedding` and `LinearTerm` take, for features of a schema.

    Args:
        schema: a fitted `keras_recs.Schema`.
        embedding_dim: int.
        features: features that are looked up. Defaults to all of `schema.id_features`.
        options: as a builder's `embedding_options`. Defaults to `None`.

    Returns:
        dict with `tables`, `features`, `combiners` and `value_weights`, each pooled as
        its feature says, and `num_shards`.

    Raises:
        ValueError: for options that are none or of a table that the schema does not
            have, or a dimension above the model's.
    """
    options = EmbeddingOptions.of(options)
    chosen = list(schema.id_features if features is None else features)
    names = list(dict.fromkeys(feature.table_name for feature in chosen))
    sizes = schema.tables
    options.check(sizes)
    tables = [
        TableConfig(
            name,
            sizes[name].num_rows,
            fingerprint=schema.table_fingerprint(name),
            **options.of_table(name, embedding_dim),
        )
        for name in names
    ]
    longest = max((table.embedding_dim for table in tables), default=embedding_dim)
    if longest != embedding_dim:
        raise ValueError(
            "`embedding_dims` must not exceed the model's `embedding_dim`, which one "
            f"table at least must have. Received: {options.embedding_dims} and "
            f"embedding_dim={embedding_dim}"
        )
    return {
        "tables": tables,
        "features": {feature.name: feature.table_name for feature in chosen},
        "combiners": {
            feature.name: feature.combiner
            for feature in chosen
            if not isinstance(feature, NumericFeature) and hasattr(feature, "combiner")
        },
        "value_weights": {
            feature.name: schema.value_weights[feature.name]
            for feature in chosen
            if feature.name in schema.value_weights
        },
        "num_shards": options.num_shards,
    }


def embedding_arguments(schema, embedding_dim, features=None, options=None):
    """As `table_arguments`, with the initializer that only `FeatureEmbedding` takes."""
    arguments = table_arguments(schema, embedding_dim, features, options)
    initializer = EmbeddingOptions.of(options).initializer
    return {**arguments, "embeddings_initializer": initializer}


def check_id_features(schema, model):
    """Raises a `ValueError` if a model that needs categorical features has none."""
    if not schema.id_features:
        raise ValueError(
            f"{model} needs a categorical feature, but the schema has only the numbers "
            f"{list(schema.feature_names)}. Bucketize one with `num_buckets`, or use "
            "logistic_regression."
        )


def _check_range(schema):
    """Raises a `ValueError` for raw numbers that a model in float16 would read."""
    policy = keras.config.dtype_policy()
    if policy.compute_dtype != "float16":
        return
    for feature in schema.features:
        if feature in schema.numeric_features and not feature.transforms:
            fix, received = "a `transform` such as 'log1p'", "transform=None"
        elif feature.name in schema.value_weights and feature.combiner == "sum":
            fix, received = "the `combiner` 'mean' or 'sqrtn'", "combiner='sum'"
        else:
            continue
        raise ValueError(
            f"Feature '{feature.name}': its numbers would enter the model as they are, "
            f"but float16 ends at 65,504. Give it {fix}, or take the dtype policy "
            f"'mixed_bfloat16'. Received: {received} and the policy '{policy.name}'"
        )
