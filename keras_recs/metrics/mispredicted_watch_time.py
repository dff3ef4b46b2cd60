"""Watch time that a ranking puts behind what nobody watched."""

import numpy as np

from keras_recs.metrics.checked_arrays import checked_arrays
from keras_recs.metrics.grouped_pairs import grouped_pairs


def mispredicted_watch_time(y_true, y_score, groups):
    """Share of the watch time that is ranked below an impression without any.

    Each pair of a watched and an unwatched impression of a group weighs the watch
    time of the first. It is mispredicted where the second has the greater score; equal
    scores count ½.

    Args:
        y_true: `(N,)` watch times, 0 where nothing was watched.
        y_score: `(N,)`.
        groups: `(N,)` keys of any comparable type, usually users.

    Returns:
        float in 0 … 1, the less the better; NaN where no group has such a pair or
            a score is NaN.

    Raises:
        ValueError: for lengths that differ, or times that are negative or not finite.

    Reference: the weighted, per-user loss of
    [Covington et al., 2016](https://doi.org/10.1145/2959100.2959190), section 4.3. It
    pairs the impressions of one page; here these are all of a group.

    Example:
    >>> times, scores, users = [60, 0, 20, 0], [3, 1, 1, 2], ["a", "a", "b", "b"]
    >>> keras_recs.metrics.mispredicted_watch_time(times, scores, users)
    0.25
    """
    y_true, y_score, _ = checked_arrays(y_true, y_score, binary=False)
    unwatched = (y_true == 0).astype("float64")
    right, times, counts = grouped_pairs(y_true, unwatched, y_score, groups)
    pairs = np.sum(times * counts)
    if pairs == 0 or np.isnan(y_score).any():
        return float("nan")
    return float(1 - np.sum(right) / pairs)
