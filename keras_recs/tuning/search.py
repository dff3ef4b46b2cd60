"""A search that says what failed."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from keras_recs.tuning.read_trials import OUTCOME, read_trials, values_of

_logger = logging.getLogger(__name__)


def search(
    tuner: Any,
    train: Any,
    validation: Any,
    *,
    epochs: int = 10,
    verbose: int = 1,
) -> list[dict[str, Any]]:
    """Runs `tuner.search` and reports each trial, those that failed too.

    A search that was interrupted goes on: make the tuner again with the same directory.
    The trial that was running starts anew.

    With `KERASTUNER_TUNER_ID`, `KERASTUNER_ORACLE_IP` and `KERASTUNER_ORACLE_PORT` set,
    as Keras Tuner wants them, this process is the chief (whose id contains "chief"),
    which hands out trials and trains none, or one of its tuners. They share the
    directory.

    Args:
        tuner: any tuner of Keras Tuner over a `build_hypermodel`.
        train: batches, or a function from batch size to batches.
        validation: batches for the exact metrics.
        epochs: int. Of a trial, at most; Hyperband sets its own. Defaults to `10`.
        verbose: int. `1` prints a line a trial; failed ones are logged in any case.
            Defaults to `1`.

    Returns:
        The trials, as `read_trials` finds them.

    Raises:
        RuntimeError: if no trial completed, or too many failed one after the other; the
            message holds their errors.
        ValueError: for what would make every trial fail: an objective that is not
            measured, no validation data.
        ImportError: if tensorboard is missing, without which every trial fails.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            "Keras Tuner fails every trial where tensorboard is missing: pip install "
            "tensorboard"
        )
    folder = Path(tuner.project_dir)
    watch = _Watch(tuner, verbose)
    stopped = None
    try:
        # Keras Tuner's own display fails when an interrupted search goes on.
        tuner.search(train, validation=validation, epochs=epochs, verbose=0)
    except RuntimeError as error:
        if "consecutive failures" not in str(error):
            raise
        stopped = error
    finally:
        watch.end()
    trials = read_trials(folder)
    failed = [trial for trial in trials if trial["status"] == "FAILED"]
    is_tuner = not hasattr(tuner.oracle, "trials")
    if stopped or not (is_tuner or any(t["status"] == "COMPLETED" for t in trials)):
        lines = [f"  trial {t['trial']}: {t['error']}; {t['values']}" for t in failed]
        reason = (
            "Too many trials failed one after the other"
            if stopped
            else f"None of {len(trials)} trials completed"
        )
        raise RuntimeError("\n".join([f"{reason}:", *lines])) from stopped
    return trials


class _Watch:
    """Writes down what each trial did, in its folder."""

    def __init__(self, tuner, verbose):
        self.tuner = tuner
        self.verbose = verbose
        self.is_waiting = False
        self.hooks = ("pre_create_trial", "on_trial_begin", "on_trial_end")
        for hook in self.hooks:
            setattr(tuner, hook, getattr(self, hook))

    def end(self):
        for hook in self.hooks:
            delattr(self.tuner, hook)

    def pre_create_trial(self):
        type(self.tuner).pre_create_trial(self.tuner)
        if self.is_waiting:  # the oracle had no trial yet: don't ask it at once again
            time.sleep(1.0)
        self.is_waiting = True

    def on_trial_begin(self, trial):
        self.is_waiting = False
        self.begun = time.monotonic()
        self.folder = Path(self.tuner.get_trial_dir(trial.trial_id))
        for path in (self.folder / OUTCOME, *self.folder.glob("history_*.csv")):
            path.unlink(missing_ok=True)  # of an interrupted search
        if hasattr(self.tuner.hypermodel, "begin_trial"):
            self.tuner.hypermodel.begin_trial(self.folder)
        type(self.tuner).on_trial_begin(self.tuner, trial)

    def on_trial_end(self, trial):
        error = (trial.message or "").strip() or None
        executions = getattr(self.tuner.hypermodel, "executions", [])
        scores = [execution["score"] for execution in executions]
        objective = self.tuner.oracle.objective
        best = (max if objective.direction == "max" else min)(scores, default=None)
        outcome = {
            "status": "FAILED" if error else "COMPLETED",
            "seconds": round(time.monotonic() - self.begun, 2),
            "executions": executions,
            "best_execution": None if best is None else scores.index(best),
            "error": error.splitlines()[-1] if error else None,
            "traceback": error,
        }
        temporary = self.folder / f".{OUTCOME}.{os.getpid()}.tmp"
        temporary.write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, self.folder / OUTCOME)
        values = values_of(trial.hyperparameters.values)
        if error:
            _logger.error(
                "Trial %s failed: %s; %s", trial.trial_id, outcome["error"], values
            )
        elif self.verbose:
            shown = ", ".join(f"{score:.5f}" for score in scores)
            tqdm.write(
                f"Trial {trial.trial_id}: {objective.name} {shown} after "
                f"{outcome['seconds']} s; {values}"
            )
        type(self.tuner).on_trial_end(self.tuner, trial)
