"""Where the rows of each table are stored."""

import dataclasses

from keras_recs.layers.embedding.scope_names import scope_names


@dataclasses.dataclass(frozen=True)
class StoredTable:
    """A table in memory: one `TableConfig`, or one part of a compressed one.

    Args:
        table: `TableConfig`.
        part: int. Its number among the table's parts.
        num_rows: int.
        embedding_dim: int.
        initializer: Keras initializer or `None`.
        stack: string. Name of the stack it lies in.
        start: int. First row there.
        index: int. Number among the tables of the stack.
    """

    table: object
    part: int
    num_rows: int
    embedding_dim: int
    initializer: object
    stack: str
    start: int
    index: int


def plan_tables(tables):
    """Puts tables of one dimension and one dtype below each other.

    A table with `hot_rows` lies alone.

    Args:
        tables: list of `TableConfig`.

    Returns:
        dict of table name to a list of `StoredTable`, one a part.
    """
    placed = {}
    filled = {}  # stack: rows and tables so far
    alone = [table.name for table in tables if table.hot_rows is not None]
    alone = scope_names("two_level", alone)
    several = _has_several_stacks(tables, alone)
    for table in tables:
        parts = []
        sizes = [(table.num_rows, table.embedding_dim)]
        initializers = [table.initializer]
        if table.compression is not None:
            sizes = table.compression.stored(table)
            own = table.initializer
            initializers = [
                own if part is None else part
                for part in table.compression.initializers()
            ]
        for number, (rows, dim) in enumerate(sizes):
            stack = _stack_name(table, dim, alone) if several else "tables"
            start, index = filled.get(stack, (0, 0))
            filled[stack] = (start + rows, index + 1)
            parts.append(
                StoredTable(
                    table, number, rows, dim, initializers[number], stack, start, index
                )
            )
        placed[table.name] = parts
    return placed


def _stack_name(table, dim, alone):
    if table.name in alone:
        return alone[table.name]
    short = "" if table.dtype == "float32" else f"_{table.dtype}"
    return f"tables_{dim}{short}"


def _has_several_stacks(tables, alone):
    names = set()
    for table in tables:
        sizes = [(0, table.embedding_dim)]
        if table.compression is not None:
            sizes = table.compression.stored(table)
        names |= {_stack_name(table, dim, alone) for _, dim in sizes}
    return len(names) > 1
