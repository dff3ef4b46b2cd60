"""Places of sequences, drawn without replacement."""

import numpy as np


def chosen_places(is_there, share, rng):
    """Draws ⌊share · n⌋ of the n places of each row.

    Args:
        is_there: bool `(B, T)`.
        share: float from 0 to 1.
        rng: `numpy.random.Generator`.

    Returns:
        bool `(B, T)`.
    """
    counts = np.floor(share * is_there.sum(1, keepdims=True) + 1e-9)  # (B, 1)
    keys = np.where(is_there, rng.random(is_there.shape), 2.0)
    return keys.argsort(1).argsort(1) < counts
