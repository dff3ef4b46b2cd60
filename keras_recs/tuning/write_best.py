"""The best model of a search, as a run directory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from keras_recs.training.run_identity import clear_run
from keras_recs.training.save_run_schema import save_run_schema
from keras_recs.tuning.read_trials import read_trials


def write_best(tuner: Any, directory: str | os.PathLike) -> dict[str, Any]:
    """Writes the best model with its schema, vocabularies and metrics by epoch.

    It is the model that was scored (its best execution, where there were several), with
    the weights of its best epoch. Another run in the directory is replaced.

    Args:
        tuner: any tuner of Keras Tuner over a `build_hypermodel`, after its search.
        directory: the run directory.

    Returns:
        The trial, as `read_trials` gives it, with `arguments` of the builder and what
        of `training` was searched: `learning_rate` and perhaps `batch_size`.

    Raises:
        ValueError: if no trial completed.
    """
    best = tuner.oracle.get_best_trials(1)
    if not best or best[0].status != "COMPLETED":
        raise ValueError("No trial completed, so that there is no best model.")
    folder = Path(directory)
    clear_run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = tuner.load_model(best[0])
    temporary = folder / f".model.{os.getpid()}.keras"
    model.save(temporary)
    os.replace(temporary, folder / "model.keras")
    save_run_schema(tuner.hypermodel.schema, folder)
    number = best[0].trial_id
    trial = next(t for t in read_trials(tuner.project_dir) if t["trial"] == number)
    if trial["best_execution"] is not None:
        name = f"history_{trial['best_execution']}.csv"
        shutil.copyfile(
            Path(tuner.get_trial_dir(number)) / name, folder / "history.csv"
        )
    arguments, training = tuner.hypermodel.values(best[0].hyperparameters)
    return {**trial, "arguments": arguments, "training": training}
