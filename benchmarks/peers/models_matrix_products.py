"""Matrix products of a training step, counted from the architectures."""

import itertools
from collections.abc import Sequence

from peer_run import (
    ATTENTION_UNITS,
    CIN_UNITS,
    CROSS_LAYERS,
    FIELD_ATTENTION_LAYERS,
    MASK_BLOCKS,
    MASK_RATIO,
    MASK_UNITS,
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
    }
    return counts[spec.model]


def _maps(fields: int, dim: int) -> int:
    *inner, last = itertools.pairwise((fields, *CIN_UNITS))
    products = sum(fields * below * size * dim for below, size in inner)
    below, size = last
    return products + fields * below * (dim + size)


def _mlp(width: int, units: Sequence[int]) -> int:
    return sum(a * b for a, b in itertools.pairwise((width, *units)))
