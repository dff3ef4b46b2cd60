"""The type of the rows of a table."""


def row_dtype(num_rows):
    """`"int32"`, or `"int64"` for a table of 2³¹ rows or more, where int32 would wrap.

    Args:
        num_rows: int. Rows of the table, padding and out of vocabulary included.
    """
    return "int32" if num_rows < 2**31 else "int64"
