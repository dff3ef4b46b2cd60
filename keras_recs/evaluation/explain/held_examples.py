"""Examples of a data set, held in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class HeldExamples:
    """The first examples of a data set as arrays, and the way back to batches.

    Attributes:
        inputs: dict of input name to `(N,)` or `(N, L)`; lists that are wider in some
            batches than in others are filled with 0, the padding.
        targets: labels and, where the data set has them, weights: dicts of arrays.
        groups: `(N,)` group keys, or `None`.
        batch_size: int. Examples of the first batch.
    """

    inputs: dict[str, np.ndarray]
    targets: tuple[dict[str, np.ndarray], ...] = ()
    groups: np.ndarray | None = None
    batch_size: int = 1

    @classmethod
    def collect(cls, dataset: Any, max_examples: int) -> HeldExamples:
        """Reads batches until enough examples are there.

        Args:
            dataset: batches of `(inputs, labels)`, `(inputs, labels, weights)` or
                `(inputs, labels, weights, groups)`, or a dict of inputs: one batch.
            max_examples: int. Reading stops there.

        Raises:
            ValueError: for a data set without a batch, or a limit below 1.
        """
        if not isinstance(max_examples, int) or max_examples < 1:
            raise ValueError(
                "`max_examples` must be a positive integer. Received: "
                f"max_examples={max_examples!r}"
            )
        batches: list[tuple[Any, ...]] = []
        missing = max_examples
        for batch in [(dataset,)] if isinstance(dataset, dict) else dataset:
            inputs, *rest = batch
            parts: list[Any] = [_arrays(p, missing) for p in (inputs, *rest[:2])]
            parts += [np.asarray(group)[:missing] for group in rest[2:]]
            batches.append(tuple(parts))
            missing -= len(next(iter(parts[0].values())))
            if missing == 0:
                break
        if not batches:
            raise ValueError("`dataset` must have at least one batch. Received none.")
        size = len(next(iter(batches[0][0].values())))
        inputs, *rest = (_joined(parts) for parts in zip(*batches, strict=True))
        groups = rest[2] if len(rest) > 2 else None
        return cls(inputs, tuple(rest[:2]), groups, size)

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def batches(
        self, names: Iterable[str] = (), order: np.ndarray | None = None
    ) -> Iterator[tuple]:
        """Batches as the data set had them, some inputs in another order.

        Args:
            names: inputs that are taken from other examples.
            order: `(N,)`: from which one each.
        """
        inputs = dict(self.inputs)
        for name in names:
            inputs[name] = inputs[name][order]
        parts: list[Any] = [inputs, *self.targets]
        if self.groups is not None:
            parts.append(self.groups)
        for start in range(0, len(self), self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield tuple(
                {name: values[rows] for name, values in part.items()}
                if isinstance(part, dict)
                else part[rows]
                for part in parts
            )


def _arrays(tensors: dict[str, Any], size: int) -> dict[str, np.ndarray]:
    return {
        name: keras.ops.convert_to_numpy(tensor)[:size]
        for name, tensor in tensors.items()
    }


def _joined(parts: tuple) -> Any:
    if not isinstance(parts[0], dict):
        return np.concatenate(parts)
    whole = {}
    for name in parts[0]:
        arrays = [part[name] for part in parts]
        if arrays[0].ndim == 2:
            width = max(array.shape[1] for array in arrays)
            arrays = [np.pad(a, ((0, 0), (0, width - a.shape[1]))) for a in arrays]
        whole[name] = np.concatenate(arrays)
    return whole
