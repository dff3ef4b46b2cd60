"""The weights of one attention layer."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Attention:
    """What one layer attends to, example by example.

    Attributes:
        weights: float32 `(N, A, F, F)` between fields, where row m of a head holds what
            field m reads, or `(N, T)` of a history, 0 where no event is.
        fields: names of the F fields, or of the features that describe an event.
        mask: bool `(N, T)`: where an event is there; `None` between fields.
    """

    weights: np.ndarray
    fields: tuple[str, ...]
    mask: np.ndarray | None = None

    def top(self, count: int = 10) -> list[tuple[str, str, float]]:
        """The pairs of fields with the largest weight, heads and examples averaged.

        Args:
            count: int. Defaults to `10`.

        Returns:
            list of the field that reads, the field that is read, and the weight; the
            largest first.

        Raises:
            ValueError: for the attention to a history.
        """
        if self.mask is not None:
            raise ValueError(
                "`top` is of the attention between fields. Received: that to a history "
                f"of {list(self.fields)}"
            )
        mean = self.weights.mean(axis=(0, 1))
        order = np.argsort(-mean, axis=None, kind="stable")[:count]
        pairs = zip(*np.unravel_index(order, mean.shape), strict=True)
        return [(self.fields[i], self.fields[j], float(mean[i, j])) for i, j in pairs]
