"""A table made of quotients and remainders."""

import dataclasses

from keras_recs.layers.embedding.compositional import Compositional
from keras_recs.layers.embedding.partition import check_operation, combine
from keras_recs.register import register


@register
@dataclasses.dataclass(frozen=True)
class QuotientRemainder:
    """Row r is composed of row r mod m of one table and row ⌊r / m⌋ of another.

    `Compositional` of two tables, the second as large as it must be. The fewest rows
    are stored where m is near the root of the table's rows.

    Args:
        num_buckets: int. The divisor m.
        operation: `"multiply"`, `"add"` or `"concatenate"`. Defaults to `"multiply"`.

    Example:
    >>> compression = keras_recs.layers.QuotientRemainder(1000)
    >>> table = keras_recs.layers.TableConfig(
    ...     "item", 1_000_000, 8, compression=compression
    ... )
    >>> compression.stored(table)
    [(1000, 8), (1000, 8)]

    Reference: [Shi et al., 2020](https://arxiv.org/abs/1909.02107)
    """

    num_buckets: int
    operation: str = "multiply"

    @property
    def num_parts(self):
        """Rows that one row is composed of."""
        return 2

    def check(self, table):
        """Raises a `ValueError` if a table cannot be composed so."""
        check_operation(self, table)
        if not 1 <= self.num_buckets <= table.num_rows:
            raise ValueError(
                f"Table '{table.name}': `num_buckets` must be 1 to its "
                f"{table.num_rows} rows. Received: num_buckets={self.num_buckets}"
            )

    def stored(self, table):
        """Pairs of rows and length of the two tables."""
        return self._bases(table).stored(table)

    def initializers(self):
        """Initializer of each of the two; `None` for the table's own."""
        return Compositional((1, 1), self.operation).initializers()

    def lookups(self, table, rows):
        """Pairs of the number of a table and the rows to read there."""
        return self._bases(table).lookups(table, rows)

    def part_order(self):
        """Numbers of the tables in the order of `lookups`."""
        return range(2)

    def combined(self, values):
        """The row `(…, D)` of the rows that `lookups` named."""
        return combine(values, self.operation)

    @classmethod
    def from_config(cls, config):
        """The compression of a config."""
        return cls(**config)

    def get_config(self):
        """Constructor arguments."""
        return dataclasses.asdict(self)

    def _bases(self, table):
        quotients = -(-table.num_rows // self.num_buckets)
        return Compositional((self.num_buckets, quotients), self.operation)
