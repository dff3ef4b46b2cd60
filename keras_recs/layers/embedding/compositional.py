"""A table whose rows are composed of the rows of several small ones."""

import dataclasses
import math

from keras import ops

from keras_recs.layers.embedding.partition import (
    check_operation,
    combine,
    part_initializers,
)
from keras_recs.register import register


@register
@dataclasses.dataclass(frozen=True)
class Compositional:
    """Every row is composed of one row of each small table: the digits of its number.

    The digits differ for any two rows (complementary partitions), so unlike rows of a
    hashed table no two rows are the same. `(bases[0] + bases[1] + …)` rows are stored
    for up to `bases[0] · bases[1] · …` different ones.

    Args:
        bases: ints. Sizes of the small tables; their product must reach the rows.
        operation: `"multiply"`, `"add"` or `"concatenate"`. Defaults to `"multiply"`.

    Example:
    >>> compression = keras_recs.layers.Compositional((100, 100))
    >>> table = keras_recs.layers.TableConfig("item", 9000, 8, compression=compression)
    >>> compression.stored(table)
    [(100, 8), (100, 8)]

    Reference: [Shi et al., 2020](https://arxiv.org/abs/1909.02107)
    """

    bases: tuple[int, ...]
    operation: str = "multiply"

    def __post_init__(self):
        object.__setattr__(self, "bases", tuple(self.bases))

    @property
    def num_parts(self):
        """Rows that one row is composed of."""
        return len(self.bases)

    def check(self, table):
        """Raises a `ValueError` if a table cannot be composed so."""
        check_operation(self, table)
        if self.num_parts < 2 or min(self.bases) < 1:
            raise ValueError(
                f"Table '{table.name}': `bases` must be two or more positive integers. "
                f"Received: bases={self.bases}"
            )
        if math.prod(self.bases) < table.num_rows:
            raise ValueError(
                f"Table '{table.name}': the product of `bases` must reach its "
                f"{table.num_rows} rows. Received: bases={self.bases}, product "
                f"{math.prod(self.bases)}"
            )

    def stored(self, table):
        """Pairs of rows and length of the small tables."""
        split = self.num_parts if self.operation == "concatenate" else 1
        return [(base, table.embedding_dim // split) for base in self.bases]

    def initializers(self):
        """Initializer of each small table; `None` for the table's own."""
        return part_initializers(self.operation, self.num_parts)

    def lookups(self, table, rows):
        """Pairs of the number of a small table and the rows to read there."""
        parts = []
        for number, base in enumerate(self.bases):
            parts.append((number, ops.mod(rows, base)))
            rows = ops.floor_divide(rows, base)
        return parts

    def part_order(self):
        """Numbers of the small tables in the order of `lookups`."""
        return range(self.num_parts)

    def combined(self, values):
        """The row `(…, D)` of the rows that `lookups` named."""
        return combine(values, self.operation)

    @classmethod
    def from_config(cls, config):
        """The compression of a config."""
        return cls(**config)

    def get_config(self):
        """Constructor arguments."""
        return {"bases": list(self.bases), "operation": self.operation}
