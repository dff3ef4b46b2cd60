"""An answer beside what it should have been."""

from __future__ import annotations

import dataclasses
import math

import numpy as np


def root_mean_square(values: np.ndarray) -> float:
    """The size of values in general."""
    return float(np.sqrt(np.mean(np.square(values))))


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far an output may be off: `absolute + relative · its size`.

    The size of a value is its own or, near 0, the root mean square over all rows.
    """

    absolute: float
    relative: float

    def allowed(self, expected: np.ndarray, size: float) -> np.ndarray:
        """The tolerance of each value, where values are about `size` in general."""
        return self.absolute + self.relative * np.maximum(np.abs(expected), size)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The place where an output of one request differs most from what it should be.

    Attributes:
        difference: float. The largest absolute difference.
        ratio: float. The largest difference in units of its tolerance.
        rows_of: slice. The rows of the request.
        row: int. The row with that ratio.
        got: string. The value there.
        wanted: string. The value that it should be.
    """

    difference: float
    ratio: float
    rows_of: slice
    row: int
    got: str
    wanted: str

    @classmethod
    def of(
        cls,
        got: np.ndarray,
        expected: np.ndarray,
        rows_of: slice,
        tolerance: Tolerance,
    ) -> Comparison:
        """Compares the answer for `rows_of` with what is expected for all rows.

        Numbers may differ by the tolerance; other types, and shapes, not at all.
        """
        wanted = expected[rows_of]
        if got.shape != wanted.shape or got.dtype != wanted.dtype:
            kinds = [f"{a.dtype} of shape {a.shape}" for a in (got, wanted)]
            return cls(math.inf, math.inf, rows_of, rows_of.start, *kinds)
        if wanted.dtype.kind == "f":
            size = root_mean_square(expected)
            difference = np.where(np.isfinite(got), np.abs(got - wanted), np.inf)
            ratio = difference / tolerance.allowed(wanted, size)
        else:
            difference = np.where(got == wanted, 0.0, np.inf)
            ratio = difference
        place = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        return cls(
            difference=float(difference.max()),
            ratio=float(ratio.max()),
            rows_of=rows_of,
            row=rows_of.start + int(place[0]),
            got=repr(got.item(*place)),
            wanted=repr(wanted.item(*place)),
        )
