"""Weights from how fast each task's loss fell."""

import numpy as np
from keras import ops

from keras_recs.register import register
from keras_recs.training.multi_task.task_weighting import TaskWeighting


@register
class DynamicWeightAverage(TaskWeighting):
    """Weighs tasks more whose loss fell less from one epoch to the next.

    The weights are 1 in the first two epochs.

    Args:
        temperature: float above 0. The larger, the more alike are the weights. Defaults
            to `2.0`.

    Raises:
        ValueError: for a temperature that is not above 0.

    Reference: [Liu et al., 2019](https://arxiv.org/abs/1803.10704):
    w_k(t) = K·softmax(L_k(t − 1) / L_k(t − 2) / T)_k
    """

    is_adaptive = True

    def __init__(self, temperature=2.0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(temperature, (int, float)) or not temperature > 0:
            raise ValueError(
                "`temperature` must be a number above 0. Received: "
                f"temperature={temperature!r}"
            )
        self.temperature = temperature

    def build(self, input_shape):
        """Creates the weights and what they are made of."""
        shape = tuple(input_shape)
        self.current = self._state("current", shape, "ones")
        self.totals = self._state("totals", shape)  # of the losses of the epoch
        self.steps = self._state("steps", ())
        self.means = self._state("means", (2, *shape))  # of the last two, older first
        self.built = True

    def weigh(self, step):
        """Float32 `(K,)`."""
        return ops.convert_to_tensor(self.current)

    def observe(self, losses):
        """Adds to the sums of the epoch."""
        self.totals.assign_add(losses)
        self.steps.assign_add(1.0)

    def end_epoch(self):
        """Sets the weights of the next epoch."""
        steps = float(ops.convert_to_numpy(self.steps))
        if not steps:
            return
        before = ops.convert_to_numpy(self.means)[1]
        now = ops.convert_to_numpy(self.totals) / steps
        self.means.assign(np.stack([before, now]))
        self.totals.assign(np.zeros_like(now))
        self.steps.assign(0.0)
        if before.any():
            # A task without a label in an epoch fell as little as it rose.
            known = (before > 0) & (now > 0)
            ratio = np.where(known, now / np.where(known, before, 1), 1.0)
            weights = np.exp((ratio - ratio.max()) / self.temperature)
            self.current.assign(len(weights) * weights / weights.sum())

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "temperature": self.temperature}
