"""What each task gains or loses by being trained with others."""

from __future__ import annotations

import dataclasses

from keras_recs.schema import Schema

# The metric by which a task is judged, and whether more of it is better.
_METRICS = {
    "binary": ("auc", True),
    "regression": ("mse", False),
    "watch_time": ("watch_time_auc", True),
}


@dataclasses.dataclass(frozen=True)
class TaskChange:
    """One task of a multi-task model beside the model that has it alone.

    Attributes:
        label: string.
        metric: string, as `evaluate` names it.
        together: float. Of the multi-task model.
        alone: float. Of the single-task model.
        gain: float. Above 0 where the multi-task model is better, whatever the metric.
    """

    label: str
    metric: str
    together: float
    alone: float
    gain: float

    def __str__(self) -> str:
        if self.gain != self.gain:
            return f"{self.label} cannot be compared: {self.metric} is not known"
        if self.gain == 0:
            return f"{self.label} is as good as alone: {self.metric} {self.alone:.6g}"
        word = "worse" if self.gain < 0 else "better"
        return (
            f"{self.label} is {word} than alone: {self.metric} {self.together:.6g} "
            f"against {self.alone:.6g} ({self.together - self.alone:+.6g})"
        )


def see_saw(
    together: dict[str, dict[str, float]],
    alone: dict[str, dict[str, float]],
    schema: Schema,
) -> list[TaskChange]:
    """Compares a multi-task model with single-task ones, the worst task first.

    Binary labels by AUC, regressions by the mean squared error, watch times by the AUC
    weighted by time.

    Args:
        together: what `evaluate` returned for the multi-task model.
        alone: what it returned for the single-task models on the same data, joined.
        schema: of the multi-task model.

    Raises:
        ValueError: for a label that none of the single-task models has, or other
            numbers of examples.
    """
    changes = []
    for label, task in schema.tasks.items():
        if label not in alone:
            raise ValueError(
                f"Label '{label}' has no single-task model beside it. There are "
                f"{sorted(alone)}"
            )
        ours, theirs = together[label], alone[label]
        if ours["examples"] != theirs["examples"]:
            raise ValueError(
                f"Label '{label}': both must be measured on the same data. Received: "
                f"{ours['examples']} and {theirs['examples']} examples"
            )
        name, more_is_better = _METRICS[task]
        nothing = float("nan")
        a, b = ours.get(name, nothing), theirs.get(name, nothing)
        changes.append(
            TaskChange(label, name, a, b, a - b if more_is_better else b - a)
        )
    return sorted(changes, key=lambda c: (c.gain != c.gain, c.gain))
