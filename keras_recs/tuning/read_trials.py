"""The trials of a search, from its files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OUTCOME = "outcome.json"


def read_trials(folder: str | os.PathLike) -> list[dict[str, Any]]:
    """Reads what a search left, during it or after it.

    Args:
        folder: `tuner.project_dir`, which holds the folders of the trials.

    Returns:
        A dict a trial, in their order: `trial`, `status` (`"COMPLETED"`, `"FAILED"`,
        `"RUNNING"`), `score`, `epochs` (of all executions), `best_execution` and its
        `best_epoch` (both from 0), `seconds`, `error`, and `values`, the
        hyperparameters by name. Hyperband's own are `tuner/epochs`,
        `tuner/initial_epoch` and `tuner/trial_id`, the trial that it goes on with.
    """
    found = []
    for path in sorted(Path(folder).glob("trial_*/trial.json")):
        state = json.loads(path.read_text(encoding="utf-8"))
        outcome = {}
        if (path.parent / OUTCOME).exists():
            outcome = json.loads((path.parent / OUTCOME).read_text(encoding="utf-8"))
        # A search that ends with the trial leaves it running in Keras Tuner's file.
        status = state["status"]
        if outcome.get("status") == "FAILED":
            status = "FAILED"
        executions = outcome.get("executions", [])
        best = outcome.get("best_execution")
        error = outcome.get("error")
        if error is None and status == "FAILED" and state["message"]:
            error = state["message"].strip().splitlines()[-1]
        found.append(
            {
                "trial": state["trial_id"],
                "status": status,
                "score": state["score"] if status == "COMPLETED" else None,
                "epochs": sum(execution["epochs"] for execution in executions),
                "best_epoch": None if best is None else executions[best]["best_epoch"],
                "best_execution": best,
                "seconds": outcome.get("seconds"),
                "error": error,
                "values": values_of(state["hyperparameters"]["values"]),
            }
        )
    return found


def values_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters, without what only Hyperband's bookkeeping needs."""
    hidden = ("tuner/bracket", "tuner/round")
    return {name: value for name, value in values.items() if name not in hidden}
