"""Attributes of items by their row."""

import keras
import numpy as np
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.register import register


@register
class ItemAttributes(keras.layers.Layer):
    """Looks up which attributes items have, in a table that is not trained.

    It is saved with the weights. Until `set_table` every item has none.

    Args:
        num_rows: int. Rows of the items' table.
        max_attributes: int. Attributes of an item at most.

    Call arguments:
        inputs: int rows of any shape.

    Output shape: int32, that of the inputs plus `(max_attributes,)`: attributes from 1,
        then 0.

    Raises:
        ValueError: for sizes that are not positive integers.

    Example:
    >>> layer = keras_recs.layers.ItemAttributes(num_rows=4, max_attributes=2)
    >>> layer.set_table([[0, 0], [0, 0], [3, 1], [2, 0]])
    >>> ops.convert_to_numpy(layer(np.array([3, 2]))).tolist()
    [[2, 0], [3, 1]]
    """

    def __init__(self, num_rows, max_attributes, **kwargs):
        super().__init__(**kwargs)
        (self.num_rows,) = checked_sizes("num_rows", (num_rows,))
        (self.max_attributes,) = checked_sizes("max_attributes", (max_attributes,))

    def build(self, input_shape=None):
        """Creates the table."""
        self.table = self.add_weight(
            name="table",
            shape=(self.num_rows, self.max_attributes),
            dtype="int",  # which is 64 bits where GPUs cannot hold 32
            initializer="zeros",
            trainable=False,
        )
        self.built = True

    def set_table(self, table):
        """Says which attributes each item has.

        Args:
            table: int `(num_rows, max_attributes)`: attributes from 1, and 0 where an
                item has less. Rows of padding and unknown items hold 0 alone.

        Raises:
            ValueError: for another shape, and for what is not integers from 0 on.
        """
        table = np.asarray(table)
        shape = (self.num_rows, self.max_attributes)
        if table.shape != shape or table.dtype.kind not in "iu" or table.min() < 0:
            raise ValueError(
                f"`table` must be integers from 0 on of shape {shape}. Received: "
                f"table of {table.dtype} of shape {table.shape}"
            )
        if not self.built:
            self.build()
        self.table.assign(table)

    def call(self, inputs):
        """Returns the attributes."""
        table = ops.convert_to_tensor(self.table)
        return ops.cast(ops.take(table, inputs, axis=0), "int32")

    def compute_output_spec(self, inputs):
        """The input's shape plus `(max_attributes,)`, int32."""
        return keras.KerasTensor((*inputs.shape, self.max_attributes), "int32")

    def get_config(self):
        """Constructor arguments."""
        config = {"num_rows": self.num_rows, "max_attributes": self.max_attributes}
        return {**super().get_config(), **config}
