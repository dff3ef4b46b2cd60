"""How a model's tables are stored."""

import dataclasses
import os
from typing import Any


@dataclasses.dataclass(frozen=True)
class EmbeddingOptions:
    """How the tables of a model are stored; the model computes the same.

    Args:
        num_shards: int. Variables into which the tables are split, so that parameter
            servers share them; one with `hot_rows` is not. Defaults to `1`.
        dtype: string. `"float32"`, or `"bfloat16"` for half the memory; a table with
            `hot_rows` is float32 in any case. Defaults to `"float32"`.
        initializer: Keras initializer of all embeddings; first-order weights start at
            zero. Defaults to `"uniform"`.
        embedding_dims: dict of table name to its own, smaller dimension. Defaults to
            none.
        compression: dict of table name to `keras_recs.layers.QuotientRemainder`,
            `Compositional` or `MultiHash`. Defaults to none.
        hot_rows: dict of table name to the rows held in memory; the rest lie in files
            (see `keras_recs.layers.TwoLevelTable`, and which optimizers it takes).
            Defaults to none.
        folder: string. The files of table `user` are in its folder `user`, and those of
            the first-order weights that some models have beside the embeddings in
            `user.linear`. Two models need two folders. Defaults to `None`.
        max_saved_bytes: int. A model whose table with `hot_rows` is larger is neither
            saved nor exported. Defaults to `4294967296`.

    Raises:
        ValueError: for `hot_rows` without `folder`, or the other way round.

    Example:
    >>> options = keras_recs.models.EmbeddingOptions(
    ...     compression={"user": keras_recs.layers.QuotientRemainder(1000)}
    ... )
    >>> options.compression["user"].num_buckets
    1000
    """

    num_shards: int = 1
    dtype: str = "float32"
    initializer: Any = "uniform"
    embedding_dims: dict[str, int] = dataclasses.field(default_factory=dict)
    compression: dict[str, Any] = dataclasses.field(default_factory=dict)
    hot_rows: dict[str, int] = dataclasses.field(default_factory=dict)
    folder: str | None = None
    max_saved_bytes: int = 2**32

    def __post_init__(self):
        if bool(self.hot_rows) != bool(self.folder):
            raise ValueError(
                "`hot_rows` and `folder` go together: the files of these tables lie "
                f"there. Received: hot_rows={self.hot_rows}, folder={self.folder!r}"
            )

    @classmethod
    def of(cls, value):
        """Options, from themselves, a dict of the arguments or `None`.

        Raises:
            ValueError: for anything else, and an unknown argument.
        """
        if isinstance(value, cls):
            return value
        known = [field.name for field in dataclasses.fields(cls)]
        if value is None or (isinstance(value, dict) and set(value) <= set(known)):
            return cls(**value or {})
        raise ValueError(
            f"`embedding_options` takes {known}, as an EmbeddingOptions or a dict. "
            f"Received: embedding_options={value!r}"
        )

    def of_table(self, name, embedding_dim):
        """Keyword arguments of a table's `TableConfig`, but its name and rows.

        Args:
            name: string.
            embedding_dim: int. That of the model.
        """
        hot_rows = self.hot_rows.get(name)
        arguments = {
            "embedding_dim": self.embedding_dims.get(name, embedding_dim),
            "dtype": self.dtype if hot_rows is None else "float32",
            "compression": self.compression.get(name),
        }
        if hot_rows is not None:
            arguments["hot_rows"] = hot_rows
            arguments["folder"] = os.path.join(str(self.folder), name)
            arguments["max_saved_bytes"] = self.max_saved_bytes
        return arguments

    def check(self, tables):
        """Raises a `ValueError` for a table that the schema does not have."""
        for option in ("embedding_dims", "compression", "hot_rows"):
            unknown = sorted(set(getattr(self, option)) - set(tables))
            if unknown:
                raise ValueError(
                    f"`{option}` names tables that the schema does not have. Received: "
                    f"{unknown}; there are {sorted(tables)}"
                )
