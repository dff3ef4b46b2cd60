"""What a search costs at most."""

import math


def budget(
    name: str,
    max_trials: int = 20,
    max_epochs: int = 10,
    executions: int = 1,
    factor: int = 3,
) -> tuple[int, int]:
    """Trials and epochs of a search, if no trial stops early.

    Args:
        name: of a tuner, as in `make_tuner`.
        max_trials: int. Defaults to `20`.
        max_epochs: int. Of a trial. Defaults to `10`.
        executions: int. Defaults to `1`.
        factor: int. Hyperband's reduction factor. Defaults to `3`.

    Returns:
        Number of trials, and of epochs over all trials and executions. Hyperband has
        its own number of trials, most of them short; `max_trials` cuts it off.

    Example:
    >>> keras_recs.tuning.budget("random", max_trials=20, max_epochs=10)
    (20, 200)
    >>> keras_recs.tuning.budget("hyperband", max_trials=1000, max_epochs=9)
    (23, 75)
    """
    if name != "hyperband":
        return max_trials, max_trials * max_epochs * executions
    last = 0  # of the brackets, the one with the shortest trials
    while max_epochs / factor ** (last + 1) >= 1:
        last += 1
    ends = math.ceil(1 + math.log(max_epochs, factor))
    lengths = []
    for bracket in range(last, -1, -1):
        done = 0
        for exponent in range(bracket, -1, -1):
            size = math.ceil(ends / (bracket + 1) * factor**exponent)
            until = math.ceil(max_epochs / factor**exponent)
            lengths += [until - done] * size
            done = until
    lengths = lengths[:max_trials]
    return len(lengths), sum(lengths) * executions
