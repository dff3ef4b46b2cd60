"""Serialized examples to raw features."""

from keras_recs.data.parse_spec import parse_spec
from keras_recs.schema import Schema


def parse_examples(serialized, schema: Schema, *, features_only: bool = True) -> dict:
    """Parses a batch of serialized `tf.train.Example`.

    Args:
        serialized: string tensor `(B,)`.
        schema: a `keras_recs.Schema`.
        features_only: bool. Leave out labels, weights and keys. Defaults to `True`.

    Returns:
        dict of column name to `(B,)` tensors, or `tf.RaggedTensor` `(B, None)` for
        multi-valued and sequence features: what `SchemaPreprocessor` takes.
    """
    import tensorflow as tf

    spec = parse_spec(schema, features_only=features_only)
    return tf.io.parse_example(serialized, spec)
