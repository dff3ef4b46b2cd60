"""What a Keras initializer does, in numbers that a file can hold."""

import math

import keras
import numpy as np


def initial_terms(initializer, num_rows, embedding_dim):
    """What an initializer does, in the terms of `initial_rows`.

    Args:
        initializer: Keras initializer with an integer seed, if it has one.
        num_rows: int.
        embedding_dim: int.

    Returns:
        dict of `distribution`, `mean`, `scale` and `seed`.

    Raises:
        ValueError: for an initializer whose values depend on more than the row.
    """
    kinds = keras.initializers
    seed = getattr(initializer, "seed", 0)
    constant = {kinds.Zeros: 0.0, kinds.Ones: 1.0}
    if type(initializer) in constant:
        return _terms("constant", constant[type(initializer)], 0.0, 0)
    if isinstance(initializer, kinds.Constant):
        if np.ndim(initializer.value) == 0:
            return _terms("constant", initializer.value, 0.0, 0)
    elif not isinstance(seed, int):
        raise ValueError(
            "`embeddings_initializer` must have an integer seed. Received: "
            f"seed={seed!r}"
        )
    elif isinstance(initializer, kinds.RandomUniform):
        low, high = initializer.minval, initializer.maxval
        return _terms("uniform", (low + high) / 2, (high - low) / 2, seed)
    elif isinstance(initializer, kinds.RandomNormal):
        return _terms("normal", initializer.mean, initializer.stddev, seed)
    elif isinstance(initializer, kinds.TruncatedNormal):
        mean, scale = initializer.mean, initializer.stddev
        return _terms("truncated_normal", mean, scale, seed)
    elif isinstance(initializer, kinds.VarianceScaling):
        fans = {"fan_in": num_rows, "fan_out": embedding_dim}
        fans["fan_avg"] = sum(fans.values()) / 2
        variance = initializer.scale / max(1.0, fans[initializer.mode])
        if initializer.distribution == "uniform":
            return _terms("uniform", 0.0, math.sqrt(3 * variance), seed)
        if initializer.distribution == "untruncated_normal":
            return _terms("normal", 0.0, math.sqrt(variance), seed)
        # The standard deviation of a normal that is cut at two.
        scale = math.sqrt(variance) / 0.87962566103423978
        return _terms("truncated_normal", 0.0, scale, seed)
    raise ValueError(
        "`embeddings_initializer` must give each row values of its own: a scalar "
        "constant, uniform, normal, truncated normal or variance scaling. "
        f"Received: embeddings_initializer={initializer!r}"
    )


def with_seed(initializer, seed):
    """The initializer with another seed, itself if it draws nothing."""
    config = initializer.get_config()
    if "seed" not in config:
        return initializer
    return type(initializer).from_config({**config, "seed": seed})


def _terms(distribution, mean, scale, seed):
    return {
        "distribution": distribution,
        "mean": float(mean),
        "scale": float(scale),
        "seed": seed,
    }
