"""The size of one embedding table."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TableConfig:
    """One embedding table.

    Args:
        name: string.
        num_rows: int. Rows, the padding row 0 and out-of-vocabulary rows included.
        embedding_dim: int. Length of a row.

    Raises:
        ValueError: if a size is not positive.
    """

    name: str
    num_rows: int
    embedding_dim: int

    def __post_init__(self):
        for argument in ("num_rows", "embedding_dim"):
            value = getattr(self, argument)
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"Table '{self.name}': `{argument}` must be a positive integer. "
                    f"Received: {argument}={value!r}"
                )
