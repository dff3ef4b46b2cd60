"""Matrix products of a training step, counted from the architectures."""

import itertools
from collections.abc import Sequence

from peer_run import (
    ATTENTION_UNITS,
    CIN_UNITS,
    CROSS_LAYERS,
    EXPERT_UNITS,
    EXPERTS,
    FIELD_ATTENTION_LAYERS,
    LEVEL_UNITS,
    LEVELS,
    MASK_BLOCKS,
    MASK_RATIO,
    MASK_UNITS,
    OWN_EXPERTS,
    SHARED_EXPERTS,
    TOWER_UNITS,
    Spec,
)

NUMBER_FIELDS = ("deepfm", "xdeepfm", "autoint", "masknet", "finalmlp")


def flops_per_example(spec: Spec) -> int:
    """Floating-point operations of the matrix products that train on one example.

    Each product is counted once forward and twice backward (gradients of both sides),
    whether or not a library needs all three. Vectors times vectors, sums and lookups
    are left out: logistic regression and factorization machines have nothing. Where an
    order of the operations takes fewer of them, it counts: the last maps of xDeepFM
    are needed as sums alone.
    """
    return 2 * 3 * multiplications(spec)


def multiplications(spec: Spec) -> int:
    """Multiplications of the products of the forward pass."""
    dim, mlp = spec.dim, spec.mlp
    fields = spec.features + (spec.numbers if spec.model in NUMBER_FIELDS else 0)
    width = fields * dim if spec.model in NUMBER_FIELDS else spec.width
    tower = _mlp(width, mlp)
    with_history = _mlp(width + dim, mlp)
    mask = width * (MASK_RATIO * width) * 2 + width * MASK_UNITS
    counts = {
        "logistic_regression": 0,
        "fm": 0,
        "wide_and_deep": tower,
        "deepfm": tower,
        "xdeepfm": tower + _maps(fields, dim),
        "dcn": tower,  # its cross layers are vectors
        "dcn_v2": tower + CROSS_LAYERS * width**2,
        "dlrm": _mlp(spec.numbers, (*mlp, dim))
        + spec.pairs * dim
        + _mlp(dim + spec.pairs, mlp),
        # Queries, keys, values; scores and sums of values.
        "autoint": tower
        + FIELD_ATTENTION_LAYERS * (3 * fields * dim**2 + 2 * fields**2 * dim),
        "masknet": MASK_BLOCKS * mask + _mlp(MASK_BLOCKS * MASK_UNITS, mlp),
        "finalmlp": 2 * tower + mlp[-1] ** 2 // 2,  # two heads of the fusion
        "din": with_history
        + spec.history * (_mlp(4 * dim, (*ATTENTION_UNITS, 1)) + dim),
        # Two recurrent layers of three gates, each of two matrices; the bilinear form.
        "dien": with_history + spec.history * (12 * dim**2 + dim) + dim**2,
        # Experts, gates and the mixtures of their outputs; towers.
        "mmoe": EXPERTS * _mlp(width, EXPERT_UNITS)
        + spec.tasks * EXPERTS * (width + EXPERT_UNITS[-1])
        + spec.tasks * _mlp(EXPERT_UNITS[-1], TOWER_UNITS),
        "ple": _levels(width, spec.tasks)
        + spec.tasks * _mlp(LEVEL_UNITS[-1], TOWER_UNITS),
    }
    return counts[spec.model]


def _maps(fields: int, dim: int) -> int:
    *inner, last = itertools.pairwise((fields, *CIN_UNITS))
    products = sum(fields * below * size * dim for below, size in inner)
    below, size = last
    return products + fields * below * (dim + size)


def _levels(width: int, tasks: int) -> int:
    every, seen = tasks * OWN_EXPERTS + SHARED_EXPERTS, OWN_EXPERTS + SHARED_EXPERTS
    products = 0
    for level in range(LEVELS):
        mixed = tasks * seen + every * (level < LEVELS - 1)
        products += every * _mlp(width, LEVEL_UNITS) + mixed * (width + LEVEL_UNITS[-1])
        width = LEVEL_UNITS[-1]
    return products


def _mlp(width: int, units: Sequence[int]) -> int:
    return sum(a * b for a, b in itertools.pairwise((width, *units)))
