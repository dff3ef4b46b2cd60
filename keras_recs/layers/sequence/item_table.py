"""One table of items that a model reads events from and scores candidates with."""

import keras
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.embedding.stacked_tables import StackedTables
from keras_recs.register import register


@register
class ItemTable(keras.layers.Layer):
    """Vectors of items by their row; row 0 is padding and reads as zeros.

    So does a row that the table does not have.

    Args:
        num_rows: int. Rows, those of padding and unknown items included.
        embedding_dim: int.
        num_shards: int. Variables into which the rows are split, so that parameter
            servers share them. Defaults to `1`.
        initializer: Keras initializer. Defaults to `"glorot_uniform"`.
        regularizer: Keras regularizer. Defaults to `None`.

    Call arguments:
        inputs: int rows of any shape.

    Output shape: that of the inputs plus `(embedding_dim,)`.

    Raises:
        ValueError: for sizes that are not positive integers.

    Example:
    >>> table = keras_recs.layers.ItemTable(10, 4)
    >>> tuple(table(np.array([[0, 7]])).shape)
    (1, 2, 4)
    """

    def __init__(
        self,
        num_rows,
        embedding_dim,
        num_shards=1,
        initializer="glorot_uniform",
        regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        (self.num_rows,) = checked_sizes("num_rows", (num_rows,))
        (self.embedding_dim,) = checked_sizes("embedding_dim", (embedding_dim,))
        (self.num_shards,) = checked_sizes("num_shards", (num_shards,))
        self.initializer = keras.initializers.get(initializer)
        self.regularizer = keras.regularizers.get(regularizer)
        # XLA turns the sparse gradient of a gather into one of the table's size.
        self.supports_jit = keras.backend.backend() != "tensorflow"

    def build(self, input_shape=None):
        """Creates the vectors."""
        self.tables = StackedTables(
            (self.num_rows,),
            self.embedding_dim,
            num_shards=self.num_shards,
            embeddings_initializers=self.initializer,
            embeddings_regularizer=self.regularizer,
            dtype=self.dtype_policy,
            name="tables",
        )
        self.tables.build((None,))
        self.built = True

    def call(self, rows):
        """Gathers vectors."""
        is_item = ops.logical_and(rows > 0, rows < self.num_rows)
        vectors = self.vectors(ops.where(is_item, rows, ops.zeros_like(rows)))
        is_item = ops.expand_dims(is_item, -1)
        return ops.where(is_item, vectors, ops.zeros_like(vectors))

    def vectors(self, rows):
        """Gathers vectors, of row 0 too."""
        return self.tables(rows)

    def score(self, states, rows):
        """Products of states with candidates.

        Args:
            states: `(..., D)`.
            rows: int `(..., n)`: the candidates of each state, or `(n,)` of all.

        Returns:
            float32 `(..., n)`.
        """
        vectors = self.vectors(rows)
        if len(rows.shape) == 1:
            scores = ops.matmul(states, ops.transpose(vectors))
        else:
            scores = ops.squeeze(ops.matmul(vectors, ops.expand_dims(states, -1)), -1)
        return ops.cast(scores, "float32")

    def whole(self, first_row=0):
        """All rows from one on.

        Args:
            first_row: int. Defaults to `0`.

        Returns:
            `(V, D)`.
        """
        shards = self.tables.shards
        if len(shards) == 1:
            return ops.convert_to_tensor(shards[0])[first_row:]
        return self.tables(ops.arange(first_row, self.num_rows))

    def read_rows(self, rows):
        """Vectors as NumPy.

        Args:
            rows: ints `(n,)`.

        Returns:
            float32 `(n, D)`.
        """
        return self.tables.read_rows(rows)

    def compute_output_shape(self, input_shape):
        """The input's shape plus `(embedding_dim,)`."""
        return (*input_shape, self.embedding_dim)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "num_rows": self.num_rows,
            "embedding_dim": self.embedding_dim,
            "num_shards": self.num_shards,
            "initializer": keras.initializers.serialize(self.initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
        }
        return {**super().get_config(), **config}
