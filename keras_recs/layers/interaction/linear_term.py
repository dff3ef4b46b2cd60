"""The first-order term of wide and factorization models."""

import dataclasses

import keras
from keras import ops

from keras_recs.layers.checked_regularizer import checked_regularizer
from keras_recs.layers.embedding.feature_embedding import FeatureEmbedding
from keras_recs.layers.embedding.table_config import TableConfig
from keras_recs.register import register


@register
class LinearTerm(keras.layers.Layer):
    """Σ of one scalar weight per feature value, plus w·x of the numbers, plus a bias.

    The layer works in float32 whatever the global policy: its output is a logit.

    Args:
        tables: list of `TableConfig`; their `embedding_dim` is taken as `units`, and
            the files of one with `hot_rows` are in its `folder` with `.linear` added.
        features: dict of feature name to table name.
        combiners: dict of feature name to combiner, as `FeatureEmbedding` takes it.
            Defaults to `None`.
        units: int. Outputs, one a label. Defaults to `1`.
        num_shards: int. As in `FeatureEmbedding`. Defaults to `1`.
        kernel_regularizer: strength of a `BatchL2`, or Keras regularizer, of all
            weights but the bias. Defaults to `None`.
        value_weights: dict of feature name to the input that weighs its values, as
            `FeatureEmbedding` takes it: with the combiner `"sum"` the term is Σwᵢxᵢ of
            a factorization machine with real-valued xᵢ. Defaults to `None`.

    Call arguments:
        inputs: dict of feature name to int rows, `(B,)` or `(B, L)`, and of weight name
            to floats `(B, L)`.
        numbers: `(B, N)` or `None`.

    Output shape: `(B, units)`.

    Raises:
        ValueError: for a feature of several values without a combiner, and as
            `FeatureEmbedding`.

    Example:
    >>> layer = keras_recs.layers.LinearTerm(
    ...     [keras_recs.layers.TableConfig("item", 10, 1)], {"item": "item"}
    ... )
    >>> tuple(layer({"item": np.ones((2,), "int32")}).shape)
    (2, 1)

    Reference: [Cheng et al., 2016](https://arxiv.org/abs/1606.07792)
    """

    def __init__(
        self,
        tables,
        features,
        combiners=None,
        units=1,
        num_shards=1,
        kernel_regularizer=None,
        value_weights=None,
        **kwargs,
    ):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.tables = tuple(TableConfig.of(table) for table in tables)
        self.features = dict(features)
        self.combiners = dict(combiners or {})
        self.units = units
        self.num_shards = num_shards
        self.kernel_regularizer = checked_regularizer(
            "kernel_regularizer", kernel_regularizer
        )
        self.value_weights = dict(value_weights or {})

    def build(self, inputs_shape, numbers_shape=None):
        """Creates the weights."""
        self.weight_of_value = None
        if self.features:
            self.weight_of_value = FeatureEmbedding(
                [self._scalars(table) for table in self.tables],
                self.features,
                self.combiners,
                self.value_weights,
                num_shards=self.num_shards,
                embeddings_initializer="zeros",
                embeddings_regularizer=self.kernel_regularizer,
                dtype=self.dtype_policy,
                name="weight_of_value",
            )
            self.weight_of_value.build(inputs_shape)
        for name in self.features:
            if len(inputs_shape[name]) > 1 and name not in self.combiners:
                raise ValueError(
                    f"Feature '{name}' of layer '{self.name}' has several values and "
                    "needs a combiner, such as 'sum'. Received: "
                    f"combiners={self.combiners}"
                )
        self.kernel = None
        if numbers_shape is not None:
            self.kernel = self.add_weight(
                name="kernel",
                shape=(numbers_shape[-1], self.units),
                initializer="zeros",
                regularizer=self.kernel_regularizer,
            )
        self.bias = self.add_weight(
            name="bias", shape=(self.units,), initializer="zeros"
        )
        self.built = True

    def call(self, inputs, numbers=None):
        """Returns the linear logits."""
        logits = self.bias
        if self.weight_of_value is not None:
            weights = self.weight_of_value(inputs)  # (B, F, units)
            logits = ops.sum(weights, axis=1) + logits  # (B, units)
        if numbers is not None:
            logits = ops.matmul(numbers, self.kernel) + logits  # (B, units)
        return logits

    def compute_output_shape(self, inputs_shape, numbers_shape=None):
        """`(B, units)`."""
        shape = numbers_shape or next(iter(inputs_shape.values()))
        return (shape[0], self.units)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "tables": [table.to_config() for table in self.tables],
            "features": self.features,
            "combiners": self.combiners,
            "units": self.units,
            "num_shards": self.num_shards,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "value_weights": self.value_weights,
        }
        return {**super().get_config(), **config}

    def _scalars(self, table):
        """A table of one number an output, the parts of a compressed row added."""
        compression = table.compression
        if compression is not None and compression.operation != "add":
            compression = dataclasses.replace(compression, operation="add")
        return TableConfig(
            table.name,
            table.num_rows,
            self.units,
            dtype=table.dtype,
            compression=compression,
            hot_rows=table.hot_rows,
            # The folder itself is that of the model's embeddings.
            folder=None if table.folder is None else f"{table.folder}.linear",
            max_saved_bytes=table.max_saved_bytes,
        )
