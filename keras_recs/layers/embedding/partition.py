"""How rows of a compressed table are combined."""

import keras
from keras import ops

OPERATIONS = ("multiply", "add", "concatenate")


def check_operation(compression, table):
    """Raises a `ValueError` for an unknown operation or a length it cannot split.

    Args:
        compression: has `operation`.
        table: `TableConfig`.
    """
    if compression.operation not in OPERATIONS:
        raise ValueError(
            f"Table '{table.name}': `operation` must be of {OPERATIONS}. Received: "
            f"operation={compression.operation!r}"
        )
    parts = compression.num_parts
    if compression.operation == "concatenate" and table.embedding_dim % parts:
        raise ValueError(
            f"Table '{table.name}': an `embedding_dim` of {table.embedding_dim} cannot "
            f"be concatenated of {parts} equal parts; use 'add' or 'multiply', or a "
            f"multiple of {parts}."
        )


def combine(values, operation):
    """Makes a row of its parts.

    Args:
        values: list of `(…, D)`, or of `(…, D / parts)` for `"concatenate"`.
        operation: one of `OPERATIONS`.

    Returns:
        `(…, D)`.
    """
    if operation == "concatenate":
        return ops.concatenate(values, axis=-1)
    result = values[0]
    for value in values[1:]:
        result = result * value if operation == "multiply" else result + value
    return result


def part_initializers(operation, count):
    """Initializers of the parts; `None` stands for the table's own.

    The factors after the first start at one, or the product would start too small.
    """
    later = keras.initializers.Ones() if operation == "multiply" else None
    return [None] + [later] * (count - 1)
