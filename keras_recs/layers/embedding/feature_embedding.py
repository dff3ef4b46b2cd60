"""Embeddings of all categorical features."""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_recs.layers.checked_regularizer import checked_regularizer
from keras_recs.layers.embedding.batch_l2 import BatchL2
from keras_recs.layers.embedding.pool import pool
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.layers.embedding.scope_names import scope_names
from keras_recs.layers.embedding.stacked_tables import StackedTables
from keras_recs.layers.embedding.table_config import TableConfig
from keras_recs.layers.embedding.table_plan import plan_tables
from keras_recs.register import register

COMBINERS = ("mean", "sum", "sqrtn", "max")
OOV_ROW = 1
PADDING_ROW = 0


@register
class FeatureEmbedding(keras.layers.Layer):
    """Looks up the rows of all features in their tables.

    Tables of one dimension lie one below the other, so one gather serves all their
    features, and features that name the same table share it. Row 0 of a table is
    padding and never trained: it does not count in a pooled feature and reads as zeros
    in a sequence. A row outside the table, and row 0 of a single-valued feature, read
    the out-of-vocabulary row 1. Tables of a smaller dimension are projected to the
    largest by a learned matrix each.

    Args:
        tables: list of `TableConfig`.
        features: dict of feature name to table name.
        combiners: dict of feature name to `"mean"`, `"sum"`, `"sqrtn"` or `"max"`, for
            the features of shape `(B, L)` that are pooled. One without stays a
            sequence. Defaults to `None`.
        value_weights: dict of feature name to the name of the input `(B, L)` that
            weighs its values. Defaults to `None`.
        num_shards: int. Variables into which each stack of tables is split, row r in
            shard r mod N, so that parameter servers share them. Defaults to `1`.
        embeddings_initializer: Keras initializer of the tables that have none of their
            own. Defaults to `"uniform"`.
        embeddings_regularizer: `BatchL2` for the rows of the batch, or its strength;
            or a Keras regularizer of the whole tables, for small ones. Defaults to
            `None`.

    Call arguments:
        inputs: dict of feature name to int rows, `(B,)` or `(B, L)`, and of weight name
            to floats; others ignored. A weight that is not finite counts as 0.

    Output shape: `(B, F, D)`: the fields in the order of `field_names`, which is
        that of `features` with single-valued ones first. Where sequences stay unpooled,
        a pair of that and a dict of feature name to `(B, T, D)`.

    Raises:
        ValueError: for a feature of an unknown table, an unknown combiner, weights of a
            feature that is not pooled by a sum, or an input that is missing.
        TypeError: for rows that are not integers.

    Example:
    >>> layer = keras_recs.layers.FeatureEmbedding(
    ...     tables=[keras_recs.layers.TableConfig("item", 10, 4)],
    ...     features={"item": "item", "history": "item"},
    ...     combiners={"history": "mean"},
    ... )
    >>> inputs = {"item": np.ones((2,), "int32"), "history": np.ones((2, 3), "int32")}
    >>> tuple(layer(inputs).shape)
    (2, 2, 4)

    Reference: projections of [Ginart et al., 2021](https://arxiv.org/abs/1909.11810)
    """

    def __init__(
        self,
        tables,
        features,
        combiners=None,
        value_weights=None,
        num_shards=1,
        embeddings_initializer="uniform",
        embeddings_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.tables = tuple(TableConfig.of(table) for table in tables)
        self.features = dict(features)
        self.combiners = dict(combiners or {})
        self.value_weights = dict(value_weights or {})
        self.num_shards = num_shards
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.embeddings_regularizer = checked_regularizer(
            "embeddings_regularizer", embeddings_regularizer
        )
        # XLA turns the sparse gradient of a gather into one of the table's size.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self._check_arguments()

    def build(self, input_shape):
        """Creates the tables."""
        self._check_inputs(input_shape)
        for feature in self.value_weights:
            if feature not in self.combiners:
                raise ValueError(
                    f"Feature '{feature}' has `value_weights` and needs a combiner, "
                    f"such as 'mean'. Received: combiners={self.combiners}"
                )
        self._table = {table.name: table for table in self.tables}
        self._placed = plan_tables(self.tables)
        largest = max(table.num_rows for table in self.tables)
        self._ranks = {name: len(input_shape[name]) for name in self.features}
        for name, rank in self._ranks.items():
            if rank not in (1, 2):
                raise ValueError(
                    f"Feature '{name}' of layer '{self.name}' must have the shape (B,) "
                    f"or (B, L). Received: {tuple(input_shape[name])}"
                )
        self.stacks = {}
        stored = [part for parts in self._placed.values() for part in parts]
        for name in dict.fromkeys(part.stack for part in stored):
            mine = [part for part in stored if part.stack == name]
            self.stacks[name] = self._make_stack(name, mine)
            self.stacks[name].build((None, None))
            largest = max(largest, sum(part.num_rows for part in mine))
        self._row_dtype = "int32" if largest < 2**31 else "int64"
        projected = scope_names("projection", self._table)
        self.projections = {
            table.name: self.add_weight(
                name=projected[table.name],
                shape=(table.embedding_dim, self.embedding_dim),
                initializer="glorot_uniform",
            )
            for table in self.tables
            if table.embedding_dim != self.embedding_dim
        }
        self.row_counts = {}
        if getattr(self.embeddings_regularizer, "by_count", False):
            for name in self.stacks:
                rows = sum(part.num_rows for part in stored if part.stack == name)
                self.row_counts[name] = self.add_weight(
                    name=f"row_counts_{name}",
                    shape=(rows,),
                    initializer=keras.initializers.Constant(np.nan),  # unknown
                    trainable=False,
                    autocast=False,
                )
        self._has_row_counts = not self.row_counts
        self.built = True

    def call(self, inputs, training=None):
        """Returns the fields, and the sequences where there are any."""
        self._check_inputs(inputs)
        single, pooled, sequences = self._groups()
        blocks = _Blocks(self.stacks)
        plain = self._in_one_stack(single)
        if plain:
            rows = ops.stack([self._cast(n, inputs[n]) for n in single], axis=1)
            rows = self._stacked_rows(single, rows)
            blocks.add(plain, rows, ops.zeros_like(rows, dtype="bool"))
        for name in (() if plain else single) + pooled + sequences:
            rows = self._cast(name, inputs[name])
            rows = ops.expand_dims(rows, 1) if name in single else rows  # (B, L)
            self._add_feature(blocks, name, rows, is_list=name not in single)
        values = self._read(blocks, training)
        if plain and not pooled and not sequences:
            return values.whole(plain)  # (B, F, D)
        fields = [values.next(plain)] if plain else []
        outputs = {}
        for name in (() if plain else single) + pooled + sequences:
            value = self._compose(values, name)  # (B, L, D)
            if name in single:
                fields.append(value)
                continue
            mask = self._cast(name, inputs[name]) != PADDING_ROW
            if name in pooled:
                weights = None
                if name in self.value_weights:
                    weights = ops.convert_to_tensor(inputs[self.value_weights[name]])
                field = pool(value, mask, self.combiners[name], weights)
                fields.append(ops.expand_dims(field, 1))  # (B, 1, D)
            else:
                there = ops.cast(mask, value.dtype)
                outputs[name] = value * ops.expand_dims(there, -1)  # (B, T, D)
        if not fields:
            raise ValueError(
                f"Layer '{self.name}' needs a single-valued or pooled feature. "
                f"Received only sequences: {list(sequences)}"
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
            "tables": [table.to_config() for table in self.tables],
            "features": self.features,
            "combiners": self.combiners,
            "value_weights": self.value_weights,
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
        """Length of a field: that of the longest rows."""
        return max(table.embedding_dim for table in self.tables)

    @property
    def field_names(self):
        """Names of the fields along axis 1 of the output; known once built."""
        single, pooled, _ = self._groups()
        return list(single + pooled)

    @property
    def shards(self):
        """All variables that hold tables, stack by stack; known once built."""
        return [shard for stack in self.stacks.values() for shard in stack.shards]

    # === Tables from outside the graph ===

    def read_rows(self, table, rows):
        """Rows of a table as NumPy, a compressed one composed.

        Args:
            table: string.
            rows: ints `(n,)`.

        Returns:
            float32 `(n, embedding_dim of the table)`.
        """
        rows = self._checked_rows(table, rows)
        config = self._table[table]
        if config.compression is None:
            (part,) = self._placed[table]
            return self.stacks[part.stack].read_rows(rows + part.start)
        values = []
        for number, part_rows in config.compression.lookups(config, rows):
            part = self._placed[table][number]
            part_rows = ops.convert_to_numpy(part_rows) + part.start
            values.append(self.stacks[part.stack].read_rows(part_rows))
        return ops.convert_to_numpy(config.compression.combined(values))

    def write_rows(self, table, rows, values):
        """Overwrites rows of a table, such as with content vectors or another model's.

        Args:
            table: string.
            rows: ints `(n,)`, each once.
            values: finite floats `(n, embedding_dim of the table)`.

        Raises:
            ValueError: for a compressed table, an unknown row, a wrong shape or a value
                that is not finite.
        """
        part, places = self._place(table, rows)
        config = self._table[table]
        rows = np.asarray(rows)
        values = np.asarray(values, "float32")
        if values.shape != (len(rows), config.embedding_dim):
            raise ValueError(
                f"Table '{table}': `values` must have the shape "
                f"{(len(rows), config.embedding_dim)}. Received: {values.shape}"
            )
        if not np.isfinite(values).all():
            bad = rows[~np.isfinite(values).all(axis=1)][:5]
            raise ValueError(
                f"Table '{table}': `values` must be finite. Received NaN or infinity "
                f"for rows {bad.tolist()}"
            )
        self.stacks[part.stack].write_rows(places, values)

    def reset_rows(self, table, rows):
        """Gives rows of a table fresh initial values.

        A table with `hot_rows` gives them those that they started with, and resets what
        the optimizer keeps for them.

        Raises:
            ValueError: for a compressed table or an unknown row.
        """
        part, rows = self._place(table, rows)
        self.stacks[part.stack].reset_rows(rows, part.index)

    def variable_rows(self, table, rows):
        """Where rows lie: pairs of a Keras variable and the ints of its rows.

        For what is kept beside a table, such as the slots of an optimizer. Rows of a
        table with `hot_rows` that are only in its files lie in no variable and are left
        out.

        Raises:
            ValueError: for a compressed table or an unknown row.
        """
        part, rows = self._place(table, rows)
        return self.stacks[part.stack].variable_rows(rows)

    def set_row_counts(self, table, counts):
        """Sets how often each row occurs in the data, for `BatchL2(by_count=True)`.

        A row of a compressed table counts for all the parts that it is composed of.

        Args:
            table: string.
            counts: `(num_rows,)`.

        Raises:
            ValueError: for another regularizer, an unknown table, or counts of another
                shape or below 0.
        """
        self._checked_rows(table, ())
        config = self._table[table]
        if not self.row_counts:
            raise ValueError(
                f"Table '{table}' keeps no counts: it needs "
                "`embeddings_regularizer=BatchL2(by_count=True)`. Received: "
                f"embeddings_regularizer={self.embeddings_regularizer}"
            )
        counts = np.asarray(counts, "float32")
        if counts.shape != (config.num_rows,) or not (counts >= 0).all():
            raise ValueError(
                f"Table '{table}': `counts` must be {config.num_rows} numbers ≥ 0. "
                f"Received: shape {counts.shape}"
            )
        parts, totals = self._placed[table], [counts]
        if config.compression is not None:
            totals = [np.zeros(part.num_rows) for part in parts]
            rows = np.arange(config.num_rows)
            for number, part_rows in config.compression.lookups(config, rows):
                part_rows = ops.convert_to_numpy(part_rows)
                totals[number] += np.bincount(part_rows, counts, len(totals[number]))
        for part, total in zip(parts, totals, strict=True):
            variable = self.row_counts[part.stack]
            whole = ops.convert_to_numpy(variable).copy()
            whole[part.start : part.start + part.num_rows] = total
            variable.assign(whole)

    # === Helpers ===

    def _make_stack(self, name, parts):
        table = parts[0].table
        initializers = [
            self.embeddings_initializer
            if part.initializer is None
            else keras.initializers.get(part.initializer)
            for part in parts
        ]
        regularizer = self.embeddings_regularizer
        if isinstance(regularizer, BatchL2):
            regularizer = None
        if table.hot_rows is not None:
            from keras_recs.layers.embedding.two_level_table import TwoLevelTable

            if regularizer is not None:
                raise ValueError(
                    f"Table '{table.name}' lies partly in a file and cannot be "
                    "regularized as a whole; use `BatchL2`."
                )
            initializer = initializers[0]
            if parts[0].initializer is None:  # one that several tables share
                initializer = renewed_initializer(initializer, self.tables.index(table))
            return TwoLevelTable(
                table.num_rows,
                table.embedding_dim,
                hot_rows=table.hot_rows,
                folder=table.folder,
                embeddings_initializer=initializer,
                max_saved_bytes=table.max_saved_bytes,
                dtype=self.dtype_policy,
                name=name,
            )
        return StackedTables(
            [part.num_rows for part in parts],
            parts[0].embedding_dim,
            storage_dtype=table.dtype,
            num_shards=self.num_shards,
            embeddings_initializers=initializers,
            embeddings_regularizer=regularizer,
            dtype=self.dtype_policy,
            name=name,
        )

    def _groups(self):
        single = [name for name in self.features if self._ranks[name] == 1]
        lists = [name for name in self.features if self._ranks[name] == 2]
        pooled = [name for name in lists if name in self.combiners]
        sequences = [name for name in lists if name not in self.combiners]
        return tuple(single), tuple(pooled), tuple(sequences)

    def _in_one_stack(self, names):
        """The stack that holds all these features' tables as they are, or `None`."""
        stacks = set()
        for name in names:
            table = self._table[self.features[name]]
            if table.compression is not None or table.name in self.projections:
                return None
            stacks.add(self._placed[table.name][0].stack)
        return stacks.pop() if len(stacks) == 1 else None

    def _cast(self, name, rows):
        rows = ops.convert_to_tensor(rows)
        dtype = keras.backend.standardize_dtype(rows.dtype)
        if "int" not in dtype:
            raise TypeError(
                f"Feature '{name}' of layer '{self.name}' must be int rows. Received: "
                f"dtype {dtype}"
            )
        # A large number must not wrap into the table.
        if dtype == "uint64":
            rows = ops.minimum(rows, 2**63 - 1)
        if dtype in ("uint32", "uint64"):
            rows, dtype = ops.cast(rows, "int64"), "int64"
        if dtype == "int64" and self._row_dtype == "int32":
            rows = ops.clip(rows, -1, 2**31 - 1)
        return ops.cast(rows, self._row_dtype)

    def _stacked_rows(self, names, rows):
        """Rows of the features' tables, one a column, as rows of the stack."""
        tables = [self._table[self.features[name]] for name in names]
        limits = np.array([table.num_rows for table in tables], self._row_dtype)
        starts = [self._placed[table.name][0].start for table in tables]
        starts = ops.convert_to_tensor(np.array(starts, self._row_dtype))
        return _known(rows, limits, OOV_ROW) + starts

    def _add_feature(self, blocks, name, rows, is_list):
        """Adds what a feature `(B, L)` looks up."""
        padding = ops.zeros_like(rows, dtype="bool")
        if is_list:
            padding = rows == PADDING_ROW
        table = self._table[self.features[name]]
        parts = self._placed[table.name]
        first = PADDING_ROW if is_list else OOV_ROW
        rows = _known(rows, np.array(table.num_rows, self._row_dtype), first)
        if table.compression is None:
            blocks.add(parts[0].stack, rows + parts[0].start, padding)
            return
        for number, part_rows in table.compression.lookups(table, rows):
            part = parts[number]
            blocks.add(part.stack, part_rows + part.start, padding)

    def _read(self, blocks, training):
        """Gathers the rows of all blocks, stack by stack."""
        if training and not self._has_row_counts:
            self._check_row_counts()
        values = {}
        for name, stack in self.stacks.items():
            rows, padding = blocks.rows(name)
            if rows is None:
                continue
            if isinstance(stack, StackedTables):
                read = stack(rows)
            else:
                read = stack(rows, training=training)
            if training and isinstance(self.embeddings_regularizer, BatchL2):
                flat = ops.reshape(rows, (-1,))
                counts = None
                if name in self.row_counts:
                    counts = ops.take(self.row_counts[name], flat, axis=0)
                penalty = self.embeddings_regularizer.of_rows(
                    ops.reshape(read, (-1, read.shape[-1])),
                    flat,
                    ops.reshape(padding, (-1,)),
                    counts,
                )
                self.add_loss(penalty)
            values[name] = ops.cast(read, self.compute_dtype)
        return _Values(values, blocks)

    def _check_row_counts(self):
        """Raises where a table has no counts; JAX has no values while it compiles."""
        scope = contextlib.nullcontext()
        if keras.backend.backend() == "jax":
            return
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            scope = tf.init_scope()
        with scope:
            counts = {n: ops.convert_to_numpy(c) for n, c in self.row_counts.items()}
        for table, parts in self._placed.items():
            users = [name for name, other in self.features.items() if other == table]
            for part in parts:
                mine = counts[part.stack][part.start : part.start + part.num_rows]
                if np.isnan(mine).any():
                    raise ValueError(
                        f"Table '{table}' of layer '{self.name}', which features "
                        f"{users} use, has no counts of its rows, by which "
                        "`BatchL2(by_count=True)` divides. Call "
                        "`keras_recs.training.set_row_counts(model, schema, train)` "
                        "before training, or `set_row_counts` of the layer."
                    )
        self._has_row_counts = True

    def _compose(self, values, name):
        """The rows of a feature: `(B, L, D)`."""
        table = self._table[self.features[name]]
        if table.compression is None:
            value = values.next(self._placed[table.name][0].stack)
        else:
            parts = [
                values.next(self._placed[table.name][number].stack)
                for number in table.compression.part_order()
            ]
            value = table.compression.combined(parts)
        if table.name in self.projections:
            value = ops.matmul(value, self.projections[table.name])
        return value

    def _place(self, table, rows):
        """Where a table lies that is not compressed, and the rows of its stack."""
        rows = self._checked_rows(table, rows)
        if self._table[table].compression is not None:
            raise ValueError(
                f"Table '{table}' is compressed: its rows share memory and cannot be "
                "written one by one."
            )
        (part,) = self._placed[table]
        return part, rows + part.start

    def _checked_rows(self, table, rows):
        if not self.built:
            raise ValueError(f"Layer '{self.name}' must be built first.")
        if table not in self._table:
            raise ValueError(
                f"Layer '{self.name}' has no table '{table}'. There are: "
                f"{sorted(self._table)}"
            )
        rows = np.asarray(rows)
        if rows.size and (rows.min() < 0 or rows.max() >= self._table[table].num_rows):
            raise ValueError(
                f"Table '{table}' has {self._table[table].num_rows} rows. Received: "
                f"rows {rows.min()} to {rows.max()}"
            )
        return rows.astype("int64")

    def _check_inputs(self, inputs):
        wanted = [*self.features, *self.value_weights.values()]
        missing = [name for name in wanted if name not in inputs]
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
        names = [table.name for table in self.tables]
        if len(set(names)) < len(names):
            raise ValueError(f"Names of `tables` must differ. Received: {names}")
        for feature, table in self.features.items():
            if table not in names:
                raise ValueError(
                    f"Feature '{feature}' names a table that is not in `tables`. "
                    f"Received: '{table}'; there are {sorted(names)}"
                )
        for feature, combiner in self.combiners.items():
            if combiner not in COMBINERS:
                raise ValueError(
                    f"Feature '{feature}': `combiners` must be of {COMBINERS}. "
                    f"Received: {combiner!r}"
                )
        for feature in self.value_weights:
            if self.combiners.get(feature) == "max":
                raise ValueError(
                    f"Feature '{feature}' has `value_weights` and needs the combiner "
                    "'mean', 'sum' or 'sqrtn'. Received: 'max'"
                )
        if not isinstance(self.num_shards, int) or self.num_shards < 1:
            raise ValueError(
                "`num_shards` must be a positive integer. Received: "
                f"num_shards={self.num_shards!r}"
            )


class _Blocks:
    """Rows to read, as blocks `(B, n)` side by side, in each stack."""

    def __init__(self, stacks):
        self.blocks = {name: [] for name in stacks}
        self.padding = {name: [] for name in stacks}

    def add(self, stack, rows, padding):
        self.blocks[stack].append(rows)
        self.padding[stack].append(padding)

    def rows(self, stack):
        blocks, padding = self.blocks[stack], self.padding[stack]
        if not blocks:
            return None, None
        if len(blocks) == 1:
            return blocks[0], padding[0]
        return ops.concatenate(blocks, axis=1), ops.concatenate(padding, axis=1)


class _Values:
    """What was read, handed out block by block in the order of adding."""

    def __init__(self, values, blocks):
        self.values = values
        self.parts = {
            name: _split(value, [ops.shape(rows)[1] for rows in blocks.blocks[name]])
            for name, value in values.items()
        }

    def whole(self, stack):
        return self.values[stack]

    def next(self, stack):
        return next(self.parts[stack])


def _split(values, lengths):
    """Parts of `(B, L, D)` along axis 1."""
    if len(lengths) == 1:  # which TensorFlow does not split
        yield values
        return
    if all(isinstance(length, int) and length for length in lengths):
        # Its gradient is written once, that of a slice is as large as all of them.
        yield from ops.split(values, np.cumsum(lengths)[:-1].tolist(), axis=1)
        return
    start = 0
    for length in lengths:
        part = values[:, start : start + length]
        if isinstance(length, int) and length:
            # TensorFlow forgets it beside a list whose length differs between batches.
            part = ops.reshape(part, (-1, length, values.shape[-1]))
        start = start + length
        yield part


def _known(rows, limits, first):
    """The rows from `first` on that a table has; out of vocabulary for all others."""
    oov = ops.convert_to_tensor(np.minimum(OOV_ROW, limits - 1))
    known = ops.logical_and(rows >= first, rows < ops.convert_to_tensor(limits))
    return ops.where(known, rows, oov)
