"""A table of items that knows their attributes."""

import numpy as np
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.layers.embedding.stacked_tables import StackedTables
from keras_recs.layers.sequence.item_table import ItemTable
from keras_recs.register import register


@register
class AttributedItemTable(ItemTable):
    """An `ItemTable` in which an item's vector has those of its attributes added.

    So has it where events are read and where candidates are scored: what is learned of
    a category or a brand helps items that were seen seldom. Which attributes an item
    has is saved with the weights and not trained; until `set_attributes` it has none.

    Args:
        num_rows: int. Rows, those of padding and unknown items included.
        embedding_dim: int.
        num_attributes: int. Attributes are numbers from 1 to this.
        max_attributes: int. Attributes of an item at most.
        num_shards: int. Variables into which the rows are split. Defaults to `1`.
        initializer: Keras initializer, of attributes too. Defaults to
            `"glorot_uniform"`.
        regularizer: Keras regularizer, of attributes too. Defaults to `None`.

    Call arguments:
        inputs: int rows of any shape.

    Output shape: that of the inputs plus `(embedding_dim,)`; zeros at row 0.

    Raises:
        ValueError: for sizes that are not positive integers.

    Example:
    >>> table = keras_recs.layers.AttributedItemTable(
    ...     4, 8, num_attributes=3, max_attributes=2
    ... )
    >>> table.set_attributes([[0, 0], [0, 0], [3, 1], [2, 0]])
    >>> tuple(table(np.array([[0, 3]])).shape)
    (1, 2, 8)
    """

    def __init__(
        self,
        num_rows,
        embedding_dim,
        num_attributes,
        max_attributes,
        num_shards=1,
        initializer="glorot_uniform",
        regularizer=None,
        **kwargs,
    ):
        super().__init__(
            num_rows, embedding_dim, num_shards, initializer, regularizer, **kwargs
        )
        (self.num_attributes,) = checked_sizes("num_attributes", (num_attributes,))
        (self.max_attributes,) = checked_sizes("max_attributes", (max_attributes,))

    def build(self, input_shape=None):
        """Creates the vectors of items and attributes."""
        super().build(input_shape)
        self.attributes = self.add_weight(
            name="attributes",
            shape=(self.num_rows, self.max_attributes),
            dtype="int",  # which is 64 bits where GPUs cannot hold 32
            initializer="zeros",
            trainable=False,
        )
        self.attribute_tables = StackedTables(
            (1 + self.num_attributes,),
            self.embedding_dim,
            embeddings_initializers=renewed_initializer(self.initializer, 1),
            embeddings_regularizer=self.regularizer,
            dtype=self.dtype_policy,
            name="attribute_tables",
        )
        self.attribute_tables.build((None,))

    def set_attributes(self, table):
        """Says which attributes each item has.

        Args:
            table: int `(num_rows, max_attributes)`: attributes from 1, and 0 where an
                item has less. Rows of padding and unknown items hold 0 alone.

        Raises:
            ValueError: for another shape, and for what is not such integers.
        """
        table = np.asarray(table)
        shape = (self.num_rows, self.max_attributes)
        is_whole = table.shape == shape and table.dtype.kind in "iu"
        if not is_whole or table.min() < 0 or table.max() > self.num_attributes:
            raise ValueError(
                f"`table` must be integers from 0 to {self.num_attributes} of shape "
                f"{shape}. Received: table of {table.dtype} of shape {table.shape}"
                + (f" from {table.min()} to {table.max()}" if is_whole else "")
            )
        if not self.built:
            self.build()
        self.attributes.assign(table)

    def vectors(self, rows):
        """Gathers vectors, of row 0 too."""
        attributes = ops.take(ops.convert_to_tensor(self.attributes), rows, axis=0)
        return self._with_attributes(super().vectors(rows), attributes)

    def whole(self, first_row=0):
        """All rows from one on `(V, D)`."""
        attributes = ops.convert_to_tensor(self.attributes)[first_row:]
        return self._with_attributes(super().whole(first_row), attributes)

    def read_rows(self, rows):
        """Vectors as NumPy, float32 `(n, D)`."""
        vectors = super().read_rows(rows)
        for column in ops.convert_to_numpy(self.attributes)[rows].T:
            there = column[:, None] > 0
            vectors = vectors + there * self.attribute_tables.read_rows(column)
        return vectors

    def _with_attributes(self, vectors, attributes):
        for number in range(self.max_attributes):
            column = attributes[..., number]
            found = ops.cast(self.attribute_tables(column), vectors.dtype)
            there = ops.expand_dims(column > 0, -1)
            vectors = vectors + ops.where(there, found, ops.zeros_like(found))
        return vectors

    def get_config(self):
        """Constructor arguments."""
        config = {
            "num_attributes": self.num_attributes,
            "max_attributes": self.max_attributes,
        }
        return {**super().get_config(), **config}
