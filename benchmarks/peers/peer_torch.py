"""What the programs on PyTorch share; torch is imported only when it is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from peer_run import (
    INITIAL_ACCUMULATOR,
    LEARNING_RATE,
    Clock,
    Spec,
    load_batches,
    load_histories,
)


def start(spec: Spec) -> None:
    """Threads and seed."""
    import torch

    torch.set_num_threads(spec.threads)
    torch.manual_seed(spec.seed)


def mlp(width: int, hidden: Sequence[int], last: int | None = None):
    """Linear layers with ReLU, and a linear one of `last` units."""
    from torch import nn

    layers: list[nn.Module] = []
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU()]
        width = units
    if last:
        layers.append(nn.Linear(width, last))
    return nn.Sequential(*layers)


def adagrad(parameters, lr: float = LEARNING_RATE):
    """PyTorch's Adagrad in its fused form, the fastest it has on a CPU."""
    import torch

    return torch.optim.Adagrad(
        parameters, lr=lr, initial_accumulator_value=INITIAL_ACCUMULATOR, fused=True
    )


def make_inputs(spec: Spec) -> list[tuple[dict[str, Any], Any]]:
    """The batches as tensors.

    Returns:
        list of pairs: columns by name (`C0 …` and `I0 …` `(B,)`, with a history also
        `history` and `negatives` `(B, T)`), and all numbers `(B, n)`.
    """
    import torch

    ids, numbers, _ = load_batches(spec)
    histories = load_histories(spec)
    inputs = []
    for place in range(len(ids)):
        columns = {f"C{i}": ids[place, :, i] for i in range(spec.features)}
        columns |= {f"I{i}": numbers[place, :, i] for i in range(spec.numbers)}
        columns |= {name: array[place] for name, array in histories.items()}
        columns = {k: torch.from_numpy(v.copy()) for k, v in columns.items()}
        inputs.append((columns, torch.from_numpy(numbers[place])))
    return inputs


def make_labels(spec: Spec):
    """Tensor `(N, B)`."""
    import torch

    return torch.from_numpy(load_batches(spec)[2])


def count(*modules) -> int:
    """Number of trained parameters."""
    return sum(
        p.numel() for module in modules for p in module.parameters() if p.requires_grad
    )


def train(
    clock: Clock,
    forward: Callable[[Any], Any],
    optimizer: Any,
    inputs: Sequence[Any],
    labels: Any,
    loss_of: Callable[[Any, Any], Any] | None = None,
) -> None:
    """Steps over the batches until the clock says stop.

    Args:
        clock: times the steps.
        forward: one element of `inputs` to what `loss_of` takes.
        optimizer: of all parameters that no fused kernel updates.
        inputs: the batches.
        labels: tensor `(N, B)`.
        loss_of: function of the output and the labels `(B,)`. Defaults to `None`: the
            cross-entropy of logits `(B,)`.
    """
    import torch

    loss_of = loss_of or torch.nn.functional.binary_cross_entropy_with_logits
    number = 0
    clock.built()
    while True:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(forward(inputs[number]), labels[number])
        loss.backward()
        optimizer.step()
        if clock.tick(loss.item()):
            return
        number = (number + 1) % len(inputs)


def lower_triangle(fields: int):
    """Places of the strictly lower triangle in a flat `(fields, fields)` matrix."""
    import torch

    row, column = torch.tril_indices(fields, fields, offset=-1)
    return row * fields + column
