"""Rows of a table drawn beside those of a history."""

import keras
from keras import ops

from keras_recs.register import register


@register
class UniformNegatives(keras.layers.Layer):
    """Draws another row of the table for each row of a history, all equally likely.

    Outside training nothing is drawn, and the output has no length, so that a lookup of
    it reads nothing.

    Args:
        num_rows: int. Rows of the table.
        first_row: int. First row that may be drawn: that behind padding and the
            out-of-vocabulary rows. Defaults to `2`.
        seed: int. Defaults to `None`.

    Call arguments:
        inputs: int `(B, T)`, rows, 0 for padding.

    Output shape: `(B, T)` in training, with padding where the inputs have it; else
        `(B, 0)`.

    Raises:
        ValueError: if there are fewer than two rows to draw from.

    Example:
    >>> layer = keras_recs.layers.UniformNegatives(num_rows=4)
    >>> rows = np.array([[2, 3, 0], [3, 0, 0]])
    >>> layer(rows, training=True).numpy().tolist()  # of the two rows the other one
    [[3, 2, 0], [2, 0, 0]]
    >>> tuple(layer(rows).shape)
    (2, 0)
    """

    def __init__(self, num_rows, first_row=2, seed=None, **kwargs):
        super().__init__(**kwargs)
        if num_rows - first_row < 2:
            raise ValueError(
                "Negatives need two rows at least to draw from. Received: "
                f"num_rows={num_rows}, first_row={first_row}"
            )
        self.num_rows = num_rows
        self.first_row = first_row
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        """Has no weights."""
        self.built = True

    def call(self, inputs, training=None):
        """Returns the drawn rows."""
        rows = ops.convert_to_tensor(inputs)
        if not training:
            return rows[:, :0]  # (B, 0)
        count = self.num_rows - self.first_row
        dtype = keras.backend.standardize_dtype(rows.dtype)
        shape = ops.shape(rows)
        # A row that may be drawn goes on by less than a whole round: never to itself.
        # Past the last row it goes back by the rest of the round: a sum may overflow.
        step = self._draw(shape, 1, count, dtype)  # (B, T)
        rest = count - step
        back = rows - self.first_row >= rest
        other = ops.where(back, rows - rest, rows + step)
        free = self.first_row + self._draw(shape, 0, count, dtype)
        known = ops.logical_and(rows >= self.first_row, rows < self.num_rows)
        drawn = ops.where(known, other, free)
        return ops.where(rows == 0, ops.zeros_like(drawn), drawn)  # (B, T)

    def compute_output_spec(self, inputs, training=None):
        """`(B, T)` or `(B, 0)`."""
        return keras.KerasTensor((inputs.shape[0], None), inputs.dtype)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "num_rows": self.num_rows,
            "first_row": self.first_row,
            "seed": self.seed,
        }
        return {**super().get_config(), **config}

    def _draw(self, shape, low, high, dtype):
        return keras.random.randint(
            shape, low, high, dtype=dtype, seed=self.seed_generator
        )
