"""Tables of one dimension, one below the other in one variable."""

import keras
import numpy as np
from keras import ops

from keras_recs.copies_of import copies_of
from keras_recs.layers.embedding.gather_rows import gather_rows
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.layers.embedding.shard_initializer import (
    ShardInitializer,
    without_fans,
)
from keras_recs.register import register

CHUNK_ROWS = 1_000_000
RESET_SEED = 1_000_003  # beyond the seeds that fill the tables


@register
class StackedTables(keras.layers.Layer):
    """Tables one below the other, in one variable or in `num_shards` of them.

    Args:
        num_rows: ints. Rows of each table.
        embedding_dim: int. Length of a row.
        storage_dtype: string. `"float32"` or `"bfloat16"`. Defaults to `"float32"`.
        num_shards: int. Row r lies in shard r mod N. Defaults to `1`.
        embeddings_initializers: list of one Keras initializer a table, or one for all.
            Defaults to `"uniform"`.
        embeddings_regularizer: Keras regularizer of the whole variable. Defaults to
            `None`.

    Input shape: int rows of the stack, of any shape. They must exist.
    Output shape: that of the input plus `(embedding_dim,)`.

    Example:
    >>> layer = keras_recs.layers.embedding.stacked_tables.StackedTables((3, 5), 4)
    >>> tuple(layer(np.array([[0, 7]])).shape)
    (1, 2, 4)
    """

    def __init__(
        self,
        num_rows,
        embedding_dim,
        storage_dtype="float32",
        num_shards=1,
        embeddings_initializers="uniform",
        embeddings_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_rows = tuple(num_rows)
        self.embedding_dim = embedding_dim
        self.storage_dtype = storage_dtype
        self.num_shards = num_shards
        if not isinstance(embeddings_initializers, (list, tuple)):
            embeddings_initializers = [embeddings_initializers] * len(self.num_rows)
        self.embeddings_initializers = [
            keras.initializers.get(initializer)
            for initializer in embeddings_initializers
        ]
        self.embeddings_regularizer = keras.regularizers.get(embeddings_regularizer)
        # XLA turns the sparse gradient of a gather into one of the table's size.
        self.supports_jit = keras.backend.backend() != "tensorflow"

    def build(self, input_shape=None):
        """Creates the variables."""
        self.shards = []
        self._num_resets = 0
        for number in range(self.num_shards):
            initializer = ShardInitializer(
                self.embeddings_initializers, self.num_rows, number, self.num_shards
            )
            shard = self.add_weight(
                name="embeddings" if self.num_shards == 1 else f"embeddings_{number}",
                shape=(self._shard_rows(number), self.embedding_dim),
                dtype=self.storage_dtype,
                initializer=initializer,
                regularizer=self.embeddings_regularizer,
                autocast=False,  # else mixed precision would cast the whole table
            )
            initializer.finish(shard)
            shard.is_table = True  # for keras_recs.optimizers
            self.shards.append(shard)
        self.built = True

    def call(self, rows):
        """Gathers rows."""
        return ops.cast(gather_rows(self.shards, rows), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """The input's shape plus `(embedding_dim,)`."""
        return (*input_shape, self.embedding_dim)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "num_rows": self.num_rows,
            "embedding_dim": self.embedding_dim,
            "storage_dtype": self.storage_dtype,
            "num_shards": self.num_shards,
            "embeddings_initializers": [
                keras.initializers.serialize(initializer)
                for initializer in self.embeddings_initializers
            ],
            "embeddings_regularizer": keras.regularizers.serialize(
                self.embeddings_regularizer
            ),
        }
        return {**super().get_config(), **config}

    def read_rows(self, rows):
        """Rows as NumPy.

        Args:
            rows: ints `(n,)`.

        Returns:
            float32 `(n, D)`.
        """
        values = gather_rows(self.shards, ops.convert_to_tensor(rows))
        return ops.convert_to_numpy(ops.cast(values, "float32"))

    def write_rows(self, rows, values):
        """Overwrites rows.

        Args:
            rows: ints `(n,)`, each once.
            values: `(n, D)`.
        """
        rows = np.asarray(rows)
        values = np.asarray(values, "float32")
        for number, shard in enumerate(self.shards):
            mine = rows % self.num_shards == number
            if mine.any():
                _write(shard, rows[mine] // self.num_shards, values[mine])

    def reset_rows(self, rows, table=0):
        """Gives rows fresh initial values.

        Args:
            rows: ints `(n,)`, each once.
            table: int. Number of the table that they are of. Defaults to `0`.
        """
        initializer = without_fans(
            self.embeddings_initializers[table],
            self.num_rows[table],
            self.embedding_dim,
        )
        # A seed would draw the vectors of the last time again.
        self._num_resets += 1
        initializer = renewed_initializer(initializer, RESET_SEED * self._num_resets)
        values = initializer((len(rows), self.embedding_dim), "float32")
        self.write_rows(rows, ops.convert_to_numpy(values))

    def variable_rows(self, rows):
        """Where rows lie: pairs of a variable and the ints of its rows.

        Args:
            rows: ints `(n,)`.
        """
        split = [rows[rows % self.num_shards == n] for n in range(self.num_shards)]
        return [
            (shard, mine // self.num_shards)
            for shard, mine in zip(self.shards, split)
            if len(mine)
        ]

    def _shard_rows(self, number):
        return len(range(number, sum(self.num_rows), self.num_shards))


def _write(variable, rows, values):
    rows = rows.astype("int64")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        for start in range(0, len(rows), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            for copy in copies_of(variable):
                copy.scatter_update(
                    tf.IndexedSlices(
                        tf.cast(values[part], copy.dtype), tf.constant(rows[part])
                    )
                )
        return
    updated = ops.scatter_update(
        ops.convert_to_tensor(variable), rows[:, None], ops.cast(values, variable.dtype)
    )
    variable.assign(updated)
