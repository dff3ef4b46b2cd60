"""What the rows of a table start with."""

import numpy as np


def initial_rows(initial, rows, embedding_dim):
    """Values that rows start with; they follow from the row's number and the seed.

    Args:
        initial: dict of `distribution` (`"uniform"`, `"normal"`, `"truncated_normal"`
            or `"constant"`), `mean`, `scale` (half the width of a uniform one, else the
            standard deviation) and `seed`.
        rows: ints `(n,)`.
        embedding_dim: int.

    Returns:
        Float32 array `(n, embedding_dim)`.
    """
    mean = np.float32(initial["mean"])
    scale = np.float32(initial["scale"])
    kind = initial["distribution"]
    if kind == "constant":
        return np.full((len(rows), embedding_dim), mean)
    seed = np.array(_mixed(np.array([initial["seed"]], "uint64"))[0])
    element = np.asarray(rows).astype("uint64")[:, None] * np.uint64(
        embedding_dim
    ) + np.arange(embedding_dim, dtype="uint64")  # (n, D)
    bits = _mixed(element ^ seed)
    if kind == "uniform":
        unit = (bits >> np.uint64(40)).astype("float32") * np.float32(2**-23)
        return mean + scale * (unit - np.float32(1))
    values = _normal(bits)
    while kind == "truncated_normal":
        far = np.abs(values) > 2
        if not far.any():
            break
        bits[far] = _mixed(bits[far])
        values[far] = _normal(bits[far])
    return mean + scale * values


def _mixed(bits):
    """The finisher of SplitMix64."""
    bits = bits * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits


def _normal(bits):
    """Standard normal numbers by Box and Muller, from 24 and 24 bits."""
    unit = ((bits >> np.uint64(40)).astype("float32") + np.float32(0.5)) * np.float32(
        2**-24
    )
    angle = (bits & np.uint64(2**24 - 1)).astype("float32")
    angle *= np.float32(2 * np.pi * 2**-24)
    return np.sqrt(-2 * np.log(unit)) * np.cos(angle)
