"""What the pairs of fields contribute to an interaction layer."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class PairTerms:
    """Contributions of the pairs of fields to one layer, example by example.

    Attributes:
        fields: names of the F fields.
        terms: float32 `(N, F, F)`. Where the order of a pair means nothing it stands
            above the diagonal, once.
        weights: float32 `(F, F)`: the size of the pair's weights, whatever the
            examples, or `None` for a layer without weights.
        ordered: bool. Whether (i, j) and (j, i) are different pairs.
    """

    fields: tuple[str, ...]
    terms: np.ndarray
    weights: np.ndarray | None = None
    ordered: bool = False

    @property
    def mean(self) -> np.ndarray:
        """Mean term of each pair over the examples, `(F, F)`."""
        return self.terms.mean(axis=0)

    @property
    def strength(self) -> np.ndarray:
        """Mean absolute term of each pair over the examples, `(F, F)`."""
        return np.abs(self.terms).mean(axis=0)

    @property
    def by_field(self) -> dict[str, float]:
        """Strength of all pairs that hold a field, added up; the largest first."""
        strength = self.strength
        sums = strength.sum(axis=0) + strength.sum(axis=1) - strength.diagonal()
        order = np.argsort(-sums, kind="stable")
        return {self.fields[i]: float(sums[i]) for i in order}

    def top(self, count: int = 10) -> list[tuple[str, str, float]]:
        """The strongest pairs.

        Args:
            count: int. Defaults to `10`.

        Returns:
            list of field, field and strength; the largest first. Ordered pairs of
            two fields are added up.
        """
        strength = self.strength
        both = np.triu(strength) + np.tril(strength, -1).T
        rows, columns = np.triu_indices(len(both), 0)
        order = np.argsort(-both[rows, columns], kind="stable")[:count]
        return [
            (self.fields[i], self.fields[j], float(both[i, j]))
            for i, j in zip(rows[order], columns[order], strict=True)
        ]
