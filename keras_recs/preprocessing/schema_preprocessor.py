"""All raw features of a schema to the inputs of a model."""

import keras
import tensorflow as tf

from keras_recs.preprocessing.bucketize import Bucketize
from keras_recs.preprocessing.check_vocabularies import check_vocabularies
from keras_recs.preprocessing.hash_key import HashKey
from keras_recs.preprocessing.hash_lookup import HashLookup
from keras_recs.preprocessing.hashed_cross import HashedCross
from keras_recs.preprocessing.identity_lookup import IdentityLookup
from keras_recs.preprocessing.numeric_transform import NumericTransform
from keras_recs.preprocessing.vocabulary_lookup import VocabularyLookup
from keras_recs.register import register
from keras_recs.schema import (
    MISSING_ID,
    CrossedFeature,
    MultiValuedFeature,
    NumericFeature,
    Schema,
    SequenceFeature,
)


@register
class SchemaPreprocessor(keras.layers.Layer):
    """Raw features to model inputs, the same in training and in serving.

    Args:
        schema: a fitted `keras_recs.Schema`.

    Call arguments:
        inputs: dict by feature name (crosses have none): `(B,)` strings, int64 ids or
            float32 numbers; for multi-valued and sequence features `(B, L)`, filled up
            with `""` or −1, or a `tf.RaggedTensor`. `""`, −1 and NaN are missing. The
            weights of a feature's values are floats beside them, as long as the values
            or, where all values of an example weigh 1, empty or nothing but NaN.

    Output: dict by feature name: int32 table rows `(B,)`, `(B, L)` or `(B, T)` with
        0 as padding, or float32 numbers `(B,)`. Of features with `max_keys`, whose rows
        the model learns, int64 keys, 0 where single values are missing too. Behind a
        feature with weights these by their column, float32 of the feature's shape with
        0 at the padding; what is not finite `FeatureEmbedding` counts as 0.

    Raises:
        ValueError: for a schema that is not fitted, a vocabulary file that is missing
            or has changed since, or a feature or its weights that are not given.
        tf.errors.InvalidArgumentError: for an example whose weights are not as many as
            its values; the feature is named.
    """

    def __init__(self, schema, **kwargs):
        kwargs.setdefault("dtype", "float32")  # whatever the global policy
        super().__init__(**{"trainable": False, **kwargs})
        if isinstance(schema, str):  # from `get_config`
            schema = Schema.from_json(schema)
        schema.check_fitted("SchemaPreprocessor")
        check_vocabularies(schema)
        self.schema = schema
        self.lookups = {
            name: _table_lookup(schema, name, owner)
            for name, owner in schema.table_owners.items()
            if not isinstance(owner, NumericFeature)
        }
        self.numbers = {
            f.name: _number_layer(schema, f)
            for f in schema.features
            if isinstance(f, NumericFeature)
        }

    def build(self, input_shape=None):
        """Builds the lookups; the schema holds all that was fitted."""
        for layer in (*self.lookups.values(), *self.numbers.values()):
            layer.build((None,))
        self.built = True

    def call(self, inputs):
        """Returns the inputs of the model for a batch of raw features."""
        outputs = {}
        for feature in self.schema.features:
            name = feature.name
            if isinstance(feature, CrossedFeature):
                keys = [_filled(inputs, self.schema[key]) for key in feature.keys]
                outputs[name] = self.lookups[feature.table_name](keys)
                continue
            values = _filled(inputs, feature)
            if isinstance(feature, NumericFeature):
                outputs[name] = self.numbers[name](values)
                continue
            lookup = self.lookups[feature.table_name]
            if isinstance(feature, (MultiValuedFeature, SequenceFeature)):
                rows = values.with_flat_values(lookup(values.flat_values))
                outputs[name] = _padded(rows, feature)
                if name in self.schema.value_weights:
                    weights = _weights(inputs, feature)
                    outputs[feature.weights] = _padded(weights, feature)
            elif feature.kind == "dynamic":
                outputs[name] = lookup(values)
            else:
                # Row 0 is for padding: a missing value is out of vocabulary.
                outputs[name] = tf.maximum(lookup(values), 1)
        return outputs

    def get_config(self):
        """Constructor arguments; the schema as JSON."""
        return {**super().get_config(), "schema": self.schema.to_json()}


def _table_lookup(schema, name, owner):
    if isinstance(owner, CrossedFeature):
        return HashedCross(owner.hash_bins, name=f"cross_{_safe(name)}")
    if owner.kind == "identity":
        return IdentityLookup(
            owner.vocabulary_size, owner.num_oov, name=f"identity_{_safe(name)}"
        )
    if owner.kind == "dynamic":
        return HashKey(name=f"key_{_safe(name)}")
    if owner.kind == "hash":
        return HashLookup(owner.hash_bins, owner.num_oov, name=f"hash_{_safe(name)}")
    vocabulary = schema.vocabularies[name].path
    return VocabularyLookup(vocabulary, owner.num_oov, name=f"vocabulary_{_safe(name)}")


def _number_layer(schema, feature):
    fitted = schema.numerics.get(feature.name)
    default = fitted.mean if feature.default == "mean" else feature.default
    name = f"number_{_safe(feature.name)}"
    if feature.num_buckets is not None:
        return Bucketize(fitted.boundaries, default, name=name)
    scale = {}
    if "quantile" in feature.transforms:
        # Without any training value a number is only told apart from 0.
        scale = {"quantiles": fitted.boundaries or (0.0, 0.0)}
    if "zscore" in feature.transforms:
        scale = {"mean": fitted.transformed_mean, "std": fitted.transformed_std}
    log1p = "log1p" in feature.transforms
    return NumericTransform(log1p=log1p, default=default, name=name, **scale)


def _safe(name):
    """The name as TensorFlow allows it in a scope."""
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in name)


def _filled(inputs, feature):
    """The raw values with the feature's default where they are missing."""
    if feature.name not in inputs:
        raise ValueError(
            f"Feature '{feature.name}' is missing. Received: {sorted(inputs)}. Give "
            'every raw feature of the schema; a missing value is "", NaN or '
            f"{MISSING_ID}."
        )
    values = inputs[feature.name]
    if isinstance(feature, NumericFeature):
        return tf.cast(values, tf.float32)
    if feature.dtype == "int64":
        values = tf.cast(values, tf.int64)
    default = feature.default
    missing = MISSING_ID if feature.dtype == "int64" else ""
    if not isinstance(feature, (MultiValuedFeature, SequenceFeature)):
        if default is None:
            return values
        return tf.where(values == missing, tf.constant(default, values.dtype), values)
    values = tf.ragged.boolean_mask(values, values != missing)
    return values if default is None else _fill_empty(values, default)


def _fill_empty(values, default):
    """Ragged rows `(B, None)` with one value where they are empty."""
    empty = tf.cast(values.row_lengths() == 0, tf.int64)
    fill = tf.fill([tf.reduce_sum(empty)], tf.constant(default, values.dtype))
    fill = tf.RaggedTensor.from_row_lengths(fill, empty)
    return tf.concat([values, fill], axis=1)


def _weights(inputs, feature):
    """The weights of the values that `_filled` returns: ragged `(B, None)`."""
    if feature.weights not in inputs:
        raise ValueError(
            f"Feature '{feature.name}': its `weights` '{feature.weights}' are missing. "
            f"Received: {sorted(inputs)}. Give a weight for each value, or NaN alone "
            "where all weigh 1."
        )
    values = _ragged(inputs[feature.name])
    weights = _ragged(tf.cast(inputs[feature.weights], tf.float32))
    lengths, given = values.row_lengths(), weights.row_lengths()
    has_any = tf.reduce_any(tf.logical_not(tf.math.is_nan(weights)), axis=1)  # (B,)
    fits = tf.logical_or(tf.logical_not(has_any), given == lengths)
    check = tf.debugging.Assert(
        tf.reduce_all(fits),
        [
            f"Feature {feature.name} must have a weight for each value in column "
            f"{feature.weights}, or none at all. Received weights:",
            tf.boolean_mask(given, tf.logical_not(fits)),
            "Received values:",
            tf.boolean_mask(lengths, tf.logical_not(fits)),
        ],
    )
    with tf.control_dependencies([check]):
        width = values.bounding_shape(axis=1)
    dense = weights.to_tensor(0.0, shape=tf.stack([-1, width]))  # (B, L)
    dense = tf.where(has_any[:, None], dense, 1.0)
    flat = tf.boolean_mask(dense, tf.sequence_mask(lengths, width))
    missing = MISSING_ID if feature.dtype == "int64" else ""
    there = values != missing
    weights = tf.ragged.boolean_mask(values.with_flat_values(flat), there)
    return weights if feature.default is None else _fill_empty(weights, 1.0)


def _ragged(values):
    """Lists `(B, L)` as they are, filling included, as a ragged tensor."""
    if isinstance(values, tf.RaggedTensor):
        return values
    return tf.RaggedTensor.from_tensor(tf.convert_to_tensor(values))


def _padded(rows, feature):
    """Ragged rows `(B, None)` as a dense tensor with 0 as padding."""
    if isinstance(feature, SequenceFeature):
        rows = rows[:, -feature.max_length :]
        if feature.padding == "left":
            room = feature.max_length - rows.row_lengths()
            zeros = tf.zeros([tf.reduce_sum(room)], rows.dtype)
            rows = tf.concat([tf.RaggedTensor.from_row_lengths(zeros, room), rows], 1)
        return rows.to_tensor(shape=(None, feature.max_length))
    if feature.max_length is not None:
        return rows[:, : feature.max_length].to_tensor(shape=(None, feature.max_length))
    dense = rows.to_tensor()
    # A batch in which every set is empty still has one column.
    return tf.pad(dense, [[0, 0], [0, tf.maximum(0, 1 - tf.shape(dense)[1])]])
