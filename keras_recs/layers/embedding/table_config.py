"""The size and the kind of one embedding table."""

import dataclasses
from typing import Any

import keras

DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class TableConfig:
    """One embedding table.

    Args:
        name: string.
        num_rows: int. Rows, the padding row 0 and out-of-vocabulary rows included.
        embedding_dim: int. Length of a row.
        dtype: string. `"float32"`, or `"bfloat16"` to store a table in half the memory;
            it is computed and updated in float32, on TensorFlow with stochastic
            rounding, from gradients in bfloat16. Defaults to `"float32"`.
        initializer: Keras initializer, or `None` for the layer's. Defaults to `None`.
        compression: `QuotientRemainder`, `Compositional` or `MultiHash`: the table has
            `num_rows` different rows, made of fewer stored ones. Defaults to `None`.
        hot_rows: int. Rows held in memory, of a table whose rows all lie in
            memory-mapped files (see `TwoLevelTable`). Defaults to `None`, all in
            memory.
        folder: string. Where those files lie, and nothing else. Defaults to `None`.
        max_saved_bytes: int. A larger table with `hot_rows` is neither saved with its
            model nor exported. Defaults to `4294967296`.
        fingerprint: string. `Schema.table_fingerprint` of what the rows stand for, so
            that the table is not used with another schema. Defaults to `None`.

    Raises:
        ValueError: if a size is not positive, for another dtype, and if options exclude
            each other.
        TypeError: for a compression that is none of these.
    """

    name: str
    num_rows: int
    embedding_dim: int
    dtype: str = "float32"
    initializer: Any = None
    compression: Any = None
    hot_rows: int | None = None
    folder: str | None = None
    max_saved_bytes: int = 2**32
    fingerprint: str | None = None

    def __post_init__(self):
        sizes = ("num_rows", "embedding_dim", "hot_rows", "max_saved_bytes")
        for argument in sizes:
            value = getattr(self, argument)
            if value is None and argument == "hot_rows":
                continue
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"Table '{self.name}': `{argument}` must be a positive integer. "
                    f"Received: {argument}={value!r}"
                )
        if self.dtype not in DTYPES:
            raise ValueError(
                f"Table '{self.name}': `dtype` must be of {DTYPES}. Received: "
                f"dtype={self.dtype!r}"
            )
        if (self.hot_rows is None) != (self.folder is None):
            raise ValueError(
                f"Table '{self.name}': `hot_rows` and `folder` go together. Received: "
                f"hot_rows={self.hot_rows}, folder={self.folder!r}"
            )
        if self.hot_rows is not None and self.hot_rows > self.num_rows:
            raise ValueError(
                f"Table '{self.name}': `hot_rows` must not be more than its rows; "
                "without `hot_rows` it lies wholly in memory. Received: "
                f"hot_rows={self.hot_rows}, num_rows={self.num_rows}"
            )
        if self.hot_rows is not None and (self.compression or self.dtype != "float32"):
            raise ValueError(
                f"Table '{self.name}': a table with `hot_rows` is float32 and not "
                f"compressed. Received: dtype={self.dtype!r}, "
                f"compression={self.compression}"
            )
        if self.compression is not None:
            if not hasattr(self.compression, "check"):
                raise TypeError(
                    f"Table '{self.name}': `compression` must be a QuotientRemainder, "
                    "Compositional or MultiHash of keras_recs.layers. Received: "
                    f"compression={self.compression!r}"
                )
            self.compression.check(self)

    @classmethod
    def of(cls, value):
        """A table, from itself or from what `to_config` gave."""
        if isinstance(value, cls):
            return value
        value = dict(value)
        for field in ("initializer", "compression"):
            if isinstance(value.get(field), dict):
                value[field] = keras.saving.deserialize_keras_object(value[field])
        return cls(**value)

    def to_config(self):
        """A dict that JSON can hold, without what has its default."""
        config = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }
        for field in ("initializer", "compression"):
            if field in config:
                config[field] = keras.saving.serialize_keras_object(config[field])
        return config
