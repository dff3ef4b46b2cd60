"""Embeddings of all categorical features in one gather."""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_recs.layers.embedding.gather_rows import gather_rows
from keras_recs.layers.embedding.pool import pool
from keras_recs.layers.embedding.table_config import TableConfig
from keras_recs.register import register
from keras_recs.schema import COMBINERS, PADDING_ROW

OOV_ROW = 1


@register
class FeatureEmbedding(keras.layers.Layer):
    """Looks up the rows of all features in their tables, stacked into one variable.

    Tables lie one below the other, so one gather serves every feature, and features
    that name the same table share it. Row 0 of a table is padding: it never counts in a
    pooled feature and reads as zeros in a sequence. A row outside the table reads the
    out-of-vocabulary row 1.

    Args:
        tables: list of `TableConfig` of one `embedding_dim`.
        features: dict of feature name to table name.
        combiners: dict of feature name to `"mean"`, `"sum"`, `"sqrtn"` or `"max"`, for
            the features of shape `(B, L)` that are pooled. One without stays a
            sequence. Defaults to `None`.
        num_shards: int. Variables into which the stacked tables are split, row r in
            shard r mod N, so that parameter servers share them. Defaults to `1`.
        embeddings_initializer: Keras initializer. Defaults to `"uniform"`.
        embeddings_regularizer: Keras regularizer of the whole table, for small ones.
            Defaults to `None`.

    Call arguments:
        inputs: dict of feature name to int rows, `(B,)` or `(B, L)`; others ignored.

    Output shape: `(B, F, D)`: the fields in the order of `field_names`, which is
        that of `features` with single-valued ones first. Where sequences stay unpooled,
        a pair of that and a dict of feature name to `(B, T, D)`.

    Raises:
        ValueError: for tables of different dimensions, a feature of an unknown table,
            an unknown combiner or an input that is missing.

    Example:
    >>> layer = keras_recs.layers.FeatureEmbedding(
    ...     tables=[keras_recs.layers.TableConfig("item", 10, 4)],
    ...     features={"item": "item", "history": "item"},
    ...     combiners={"history": "mean"},
    ... )
    >>> inputs = {"item": np.ones((2,), "int32"), "history": np.ones((2, 3), "int32")}
    >>> tuple(layer(inputs).shape)
    (2, 2, 4)
    """

    def __init__(
        self,
        tables,
        features,
        combiners=None,
        num_shards=1,
        embeddings_initializer="uniform",
        embeddings_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.tables = tuple(
            TableConfig(**table) if isinstance(table, dict) else table
            for table in tables
        )
        self.features = dict(features)
        self.combiners = dict(combiners or {})
        self.num_shards = num_shards
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.embeddings_regularizer = keras.regularizers.get(embeddings_regularizer)
        # XLA turns the sparse gradient of a gather into one of the table's size.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self._check_arguments()

    def build(self, input_shape):
        """Creates the stacked table."""
        self._check_inputs(input_shape)
        starts = np.cumsum([0] + [table.num_rows for table in self.tables])
        self._starts = {t.name: int(s) for t, s in zip(self.tables, starts)}
        self._num_rows = {table.name: table.num_rows for table in self.tables}
        total = int(starts[-1])
        self._row_dtype = "int32" if total < 2**31 else "int64"
        self._ranks = {name: len(input_shape[name]) for name in self.features}
        self.shards = [
            self.add_weight(
                name="embeddings" if self.num_shards == 1 else f"embeddings_{number}",
                shape=(len(range(number, total, self.num_shards)), self.embedding_dim),
                initializer=self.embeddings_initializer,
                regularizer=self.embeddings_regularizer,
                autocast=False,  # else mixed precision would cast the whole table
            )
            for number in range(self.num_shards)
        ]
        self.built = True

    def call(self, inputs):
        """Returns the fields, and the sequences where there are any."""
        self._check_inputs(inputs)
        single, pooled, sequences = self._groups()
        listed = pooled + sequences
        blocks, masks = [], {}
        if single:
            rows = ops.stack([self._cast(inputs[n]) for n in single], axis=1)  # (B, F)
            blocks.append(self._stacked_rows(single, rows))
        for name in listed:
            rows = self._cast(inputs[name])  # (B, L)
            masks[name] = rows != PADDING_ROW
            blocks.append(self._stacked_rows([name], rows))
        rows = blocks[0] if len(blocks) == 1 else ops.concatenate(blocks, axis=1)
        values = gather_rows(self.shards, rows)  # (B, F + ΣL, D)
        values = ops.cast(values, self.compute_dtype)
        if not listed:
            return values
        fields = [self._part(values, 0, len(single))] if single else []  # (B, F, D)
        start = len(single)
        outputs = {}
        for name, block in zip(listed, blocks[-len(listed) :]):
            length = ops.shape(block)[1]
            value = self._part(values, start, length)  # (B, L, D)
            start = start + length
            if name in pooled:
                field = pool(value, masks[name], self.combiners[name])
                fields.append(ops.expand_dims(field, 1))  # (B, 1, D)
            else:
                mask = ops.cast(masks[name], value.dtype)
                outputs[name] = value * ops.expand_dims(mask, -1)  # (B, T, D)
        if not fields:
            raise ValueError(
                f"Layer '{self.name}' needs a single-valued or pooled feature. "
                f"Received only sequences: {sequences}"
            )
        stacked = fields[0] if len(fields) == 1 else ops.concatenate(fields, axis=1)
        return (stacked, outputs) if sequences else stacked

    def compute_output_shape(self, input_shape):
        """`(B, F, D)`, and the shapes of sequences."""
        ranks = {name: len(input_shape[name]) for name in self.features}
        single = [name for name in self.features if ranks[name] == 1]
        batch = input_shape[next(iter(self.features))][0]
        sequences = {
            name: (*input_shape[name], self.embedding_dim)
            for name in self.features
            if ranks[name] == 2 and name not in self.combiners
        }
        pooled = len(self.features) - len(single) - len(sequences)
        fields = (batch, len(single) + pooled, self.embedding_dim)
        return (fields, sequences) if sequences else fields

    def get_config(self):
        """Constructor arguments."""
        config = {
            "tables": [dataclasses.asdict(table) for table in self.tables],
            "features": self.features,
            "combiners": self.combiners,
            "num_shards": self.num_shards,
            "embeddings_initializer": keras.initializers.serialize(
                self.embeddings_initializer
            ),
            "embeddings_regularizer": keras.regularizers.serialize(
                self.embeddings_regularizer
            ),
        }
        return {**super().get_config(), **config}

    @property
    def embedding_dim(self):
        """Length of a row."""
        return self.tables[0].embedding_dim

    @property
    def field_names(self):
        """Names of the fields along axis 1 of the output; known once built."""
        single, pooled, _ = self._groups()
        return single + pooled

    def _groups(self):
        single = [name for name in self.features if self._ranks[name] == 1]
        lists = [name for name in self.features if self._ranks[name] == 2]
        pooled = [name for name in lists if name in self.combiners]
        return single, pooled, [name for name in lists if name not in self.combiners]

    def _cast(self, rows):
        if keras.backend.standardize_dtype(rows.dtype) == "int64":
            rows = ops.clip(rows, -1, 2**31 - 1)  # else it could wrap into the table
        return ops.cast(rows, self._row_dtype)

    def _part(self, values, start, length):
        part = values[:, start : start + length]
        if isinstance(length, int):
            # TensorFlow forgets it beside a list whose length differs between batches.
            part = ops.reshape(part, (-1, length, self.embedding_dim))
        return part

    def _stacked_rows(self, names, rows):
        """Rows of the features' tables as rows of the stacked one."""
        tables = [self.features[name] for name in names]
        limits = np.array([self._num_rows[t] for t in tables], self._row_dtype)
        starts = np.array([self._starts[t] for t in tables], self._row_dtype)
        known = ops.logical_and(rows >= 0, rows < limits)
        return ops.where(known, rows, np.minimum(OOV_ROW, limits - 1)) + starts

    def _check_inputs(self, inputs):
        missing = [name for name in self.features if name not in inputs]
        if missing:
            raise ValueError(
                f"Layer '{self.name}' was called without features {missing}. Received: "
                f"{sorted(inputs)}"
            )

    def _check_arguments(self):
        if not self.tables or not self.features:
            raise ValueError(
                "`tables` and `features` must not be empty. Received: "
                f"tables={self.tables}, features={self.features}"
            )
        dims = {table.name: table.embedding_dim for table in self.tables}
        if len(set(dims.values())) > 1:
            raise ValueError(
                "All `tables` of a FeatureEmbedding must have one `embedding_dim`; "
                f"use one layer for each dimension. Received: {dims}"
            )
        for feature, table in self.features.items():
            if table not in dims:
                raise ValueError(
                    f"Feature '{feature}' names a table that is not in `tables`. "
                    f"Received: '{table}'; there are {sorted(dims)}"
                )
        for feature, combiner in self.combiners.items():
            if combiner not in COMBINERS:
                raise ValueError(
                    f"Feature '{feature}': `combiners` must be of {COMBINERS}. "
                    f"Received: {combiner!r}"
                )
        if not isinstance(self.num_shards, int) or self.num_shards < 1:
            raise ValueError(
                "`num_shards` must be a positive integer. Received: "
                f"num_shards={self.num_shards!r}"
            )
