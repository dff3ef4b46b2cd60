"""Means over users."""

import numpy as np


def user_mean(values: dict[str, np.ndarray]) -> dict[str, float]:
    """The mean of each metric over the users that have it; NaN where none has."""
    means = {}
    for name, of_users in values.items():
        known = of_users[~np.isnan(of_users)]
        means[name] = float(known.mean()) if len(known) else float("nan")
    return means
