"""A tuner of Keras Tuner by its name."""

from __future__ import annotations

import os
import sys
from typing import Any

TUNERS = ("bayesian", "hyperband", "random")


def make_tuner(
    name: str,
    hypermodel: Any,
    directory: str | os.PathLike,
    *,
    max_trials: int = 20,
    max_epochs: int = 10,
    executions: int = 1,
    seed: int = 0,
    **options: Any,
):
    """Makes a tuner whose state lies in `<directory>/trials`.

    Made again with the same directory it goes on with its state.

    Args:
        name: `"bayesian"`, `"hyperband"` or `"random"`.
        hypermodel: what `build_hypermodel` returned.
        directory: folder of the search.
        max_trials: int. Defaults to `20`.
        max_epochs: int. Of a trial; only Hyperband needs it here. Defaults to `10`.
        executions: int. Times that each trial is trained; its score is the mean.
            Defaults to `1`.
        seed: int of at least 0. Of the draws. Defaults to `0`.
        **options: of the tuner, such as `factor`, `overwrite`,
            `distribution_strategy` or `max_consecutive_failed_trials`.

    Returns:
        `keras_tuner.Tuner`.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in TUNERS:
        raise ValueError(f"`name` must be one of {TUNERS}. Received: name={name!r}")
    import keras_tuner

    if "KERASTUNER_ORACLE_IP" in os.environ:
        # Reached in the chief, the limit would leave all processes waiting for it.
        options.setdefault("max_consecutive_failed_trials", sys.maxsize)
    common = {
        "objective": hypermodel.objective,
        "directory": str(directory),
        "project_name": "trials",
        "executions_per_trial": executions,
        "seed": seed + 1,  # to Keras Tuner 0 is any seed
        **options,
    }
    if name == "hyperband":
        tuner = keras_tuner.Hyperband(hypermodel, max_epochs=max_epochs, **common)
        if isinstance(tuner.oracle, keras_tuner.Oracle):  # in a chief's tuners it isn't
            tuner.oracle.max_trials = max_trials
        return tuner
    kinds = {
        "bayesian": keras_tuner.BayesianOptimization,
        "random": keras_tuner.RandomSearch,
    }
    return kinds[name](hypermodel, max_trials=max_trials, **common)
