"""How rows are divided into training, validation and test data."""

from __future__ import annotations

import dataclasses
import math

from keras_recs.schema import Schema

SPLITS = ("train", "valid", "test")
KINDS = ("none", "time", "hash", "random", "last_per_user")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """How rows are divided into the splits train, valid and test.

    Args:
        kind: which row goes where. Defaults to `"none"`.
            `"none"`: all rows are training rows.
            `"time"`: the oldest rows train, the newest test; rows of the same time stay
            together. Needs the schema's `timestamp`.
            `"hash"`: by a hash of the column `key`, so that all rows of a key stay
            together.
            `"random"`: by a hash of the file's and the line's number.
            `"last_per_user"`: of each value of `key` the last row tests, the one before
            validates, all others train; of rows of the same time the later in the files
            is last. Needs the schema's `timestamp`.
        fractions: shares of train, valid and test for `"time"`, `"hash"` and
            `"random"`; they sum up to 1. Defaults to `(0.8, 0.1, 0.1)`.
        cut_offs: for `"time"`: the first second of valid and of test, instead of
            `fractions`. Defaults to `None`.
        key: string. Column for `"hash"` and `"last_per_user"`. Defaults to `None`: the
            schema's `group_key`.
        seed: int. Of `"hash"` and `"random"`. Defaults to `0`.

    Raises:
        ValueError: for a value that is not as said above.
    """

    kind: str = "none"
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    cut_offs: tuple[float, float] | None = None
    key: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"`kind` must be one of {KINDS}. Received: kind={self.kind!r}"
            )
        object.__setattr__(self, "fractions", tuple(map(float, self.fractions)))
        if (
            len(self.fractions) != 3
            or not all(0 <= share <= 1 for share in self.fractions)
            or not math.isclose(sum(self.fractions), 1, abs_tol=1e-9)
            or self.fractions[0] == 0
        ):
            raise ValueError(
                "`fractions` must be the shares of train, valid and test, which sum up "
                "to 1, with some rows for train. Received: "
                f"fractions={self.fractions}"
            )
        if self.cut_offs is not None:
            object.__setattr__(self, "cut_offs", tuple(map(float, self.cut_offs)))
            if (
                self.kind != "time"
                or len(self.cut_offs) != 2
                or not -math.inf < self.cut_offs[0] <= self.cut_offs[1] < math.inf
            ):
                raise ValueError(
                    "`cut_offs` must be two increasing times for kind='time'. "
                    f"Received: cut_offs={self.cut_offs}, kind={self.kind!r}"
                )
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):
            raise ValueError(f"`seed` must be an integer. Received: seed={self.seed!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """The splits that are written."""
        if self.kind == "none":
            return SPLITS[:1]
        if self.kind == "last_per_user" or self.cut_offs is not None:
            return SPLITS
        pairs = zip(SPLITS, self.fractions, strict=True)
        return tuple(name for name, share in pairs if share)

    def key_column(self, schema: Schema) -> str:
        """The column of `key`.

        Raises:
            ValueError: if neither the split nor the schema has one.
        """
        key = self.key or schema.group_key
        if not key:
            raise ValueError(
                f"`key` must be given for kind={self.kind!r}, or the schema must have "
                "a `group_key`. Received: key=None"
            )
        return key

    def time_column(self, schema: Schema) -> str:
        """The schema's timestamp.

        Raises:
            ValueError: if it has none.
        """
        if not schema.timestamp:
            raise ValueError(
                f"A split of kind={self.kind!r} needs the time of each row: give the "
                "schema a `timestamp`."
            )
        return schema.timestamp
