"""Weights that are given, one a task."""

import math
import numbers

import keras
from keras import ops

from keras_recs.register import register
from keras_recs.training.multi_task.task_weighting import TaskWeighting

_Schedule = keras.optimizers.schedules.LearningRateSchedule


@register
class GivenWeights(TaskWeighting):
    """A number for each task, or a schedule of it over the steps.

    Args:
        task_weights: dict of label name to a number of at least 0, or to a schedule of
            `keras.optimizers.schedules`, such as `ExponentialDecay(1.0, 1000, 0.9)`: a
            weight that falls by a tenth every 1,000 steps. Each task must be there.

    Raises:
        ValueError: for what is neither, and for other labels than the model's.

    Example:
    >>> weighting = keras_recs.training.GivenWeights({"click": 1.0, "like": 0.5})
    >>> weighting.bind({"click": "binary", "like": "binary"})
    >>> weighting.weigh(0).numpy().tolist()
    [1.0, 0.5]

    Reference: [Tang et al., 2020](https://dl.acm.org/doi/10.1145/3383313.3412236):
    ω_k(t) = ω_k(0)·γ_k^t
    """

    def __init__(self, task_weights, **kwargs):
        super().__init__(**kwargs)
        self.task_weights = {
            label: keras.saving.deserialize_keras_object(value)
            if isinstance(value, dict)
            else value
            for label, value in dict(task_weights).items()
        }
        for label, value in self.task_weights.items():
            if not (_is_weight(value) or isinstance(value, _Schedule)):
                raise ValueError(
                    f"Label '{label}': its weight must be a number of at least 0 or a "
                    f"schedule of keras.optimizers.schedules. Received: {value!r}"
                )

    def bind(self, tasks):
        """Says which tasks there are."""
        if set(tasks) != set(self.task_weights):
            raise ValueError(
                f"`task_weights` must have a weight for each label, {list(tasks)}. "
                f"Received: {list(self.task_weights)}"
            )
        super().bind(tasks)

    def weigh(self, step):
        """Float32 `(K,)`."""
        values = [self.task_weights[label] for label in self.tasks]
        values = [v(step) if isinstance(v, _Schedule) else v for v in values]
        return ops.stack([ops.cast(value, "float32") for value in values])

    def get_config(self):
        """Constructor arguments."""
        weights = {
            label: keras.saving.serialize_keras_object(value)
            if isinstance(value, _Schedule)
            else float(value)
            for label, value in self.task_weights.items()
        }
        return {**super().get_config(), "task_weights": weights}


def _is_weight(value):
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value) and value >= 0
