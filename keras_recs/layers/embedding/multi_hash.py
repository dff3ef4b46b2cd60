"""A table read through several hash functions."""

import dataclasses

import keras
from keras import ops

from keras_recs.layers.embedding.partition import check_operation, combine
from keras_recs.register import register


@register
@dataclasses.dataclass(frozen=True)
class MultiHash:
    """Row r is composed of `num_hashes` rows of one small table, each found by a hash.

    Two rows are the same only where all their hashes meet: with m buckets and k hashes
    once in m^k pairs and not once in m.

    Args:
        num_buckets: int. Rows that are stored.
        num_hashes: int. Defaults to `2`.
        operation: `"add"`, `"multiply"` or `"concatenate"`. Defaults to `"add"`.
        seed: int. Of the hash functions. Defaults to `0`.

    Example:
    >>> compression = keras_recs.layers.MultiHash(1000)
    >>> table = keras_recs.layers.TableConfig(
    ...     "item", 1_000_000, 8, compression=compression
    ... )
    >>> compression.stored(table)
    [(1000, 8)]

    Reference: [Serrà and Karatzoglou, 2017](https://arxiv.org/abs/1706.03993), and
    [Zhang et al., 2020](https://doi.org/10.1145/3383313.3412227)
    """

    num_buckets: int
    num_hashes: int = 2
    operation: str = "add"
    seed: int = 0

    @property
    def num_parts(self):
        """Rows that one row is composed of."""
        return self.num_hashes

    def check(self, table):
        """Raises a `ValueError` if a table cannot be composed so."""
        check_operation(self, table)
        for argument in ("num_buckets", "num_hashes"):
            if getattr(self, argument) < 1:
                raise ValueError(
                    f"Table '{table.name}': `{argument}` must be positive. Received: "
                    f"{argument}={getattr(self, argument)}"
                )

    def stored(self, table):
        """The rows and the length of the one table."""
        split = self.num_hashes if self.operation == "concatenate" else 1
        return [(self.num_buckets, table.embedding_dim // split)]

    def initializers(self):
        """`None`: the table's own, but around one where rows are multiplied."""
        if self.operation == "multiply":
            return [keras.initializers.RandomUniform(0.9, 1.1)]
        return [None]

    def lookups(self, table, rows):
        """Pairs of 0, the one table, and the rows to read there."""
        return [(0, self._bucket(rows, number)) for number in range(self.num_hashes)]

    def part_order(self):
        """Numbers of the tables in the order of `lookups`."""
        return [0] * self.num_hashes

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

    def _bucket(self, rows, number):
        salt = self.seed * self.num_hashes + number + 1
        rows = ops.convert_to_tensor(rows)
        bits = rows
        if keras.backend.standardize_dtype(rows.dtype) == "int64":
            # The same for a small row whatever its dtype.
            bits = ops.cast(ops.bitwise_and(rows, 2**31 - 1), "int32")
            high = ops.cast(ops.right_shift(rows, 31), "int32")
            bits = bits + high * _int32(0x27D4EB2F)
        bits = _mix(bits, salt)
        bucket = ops.mod(ops.bitwise_and(bits, 2**31 - 1), self.num_buckets)
        return ops.cast(bucket, rows.dtype)


def _mix(bits, salt):
    """The finalizer of MurmurHash3 on 32 bits, after a salt."""
    bits = bits + _int32(salt * 0x9E3779B9)
    bits = ops.bitwise_xor(bits, _shift(bits, 16)) * _int32(0x85EBCA6B)
    bits = ops.bitwise_xor(bits, _shift(bits, 13)) * _int32(0xC2B2AE35)
    return ops.bitwise_xor(bits, _shift(bits, 16))


def _shift(bits, count):
    """Shifts to the right without the sign."""
    return ops.bitwise_and(ops.right_shift(bits, count), 2 ** (32 - count) - 1)


def _int32(number):
    number &= 0xFFFFFFFF
    return number - 2**32 if number >= 2**31 else number
