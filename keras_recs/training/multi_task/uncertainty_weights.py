"""Weights from the noise of each task, which is learnt."""

from keras import ops

from keras_recs.register import register
from keras_recs.training.multi_task.task_weighting import TaskWeighting


@register
class UncertaintyWeights(TaskWeighting):
    """Weighs each task by the variance that the model learns for it.

    The optimizer of the model trains s = log σ², which begins at 0 and may be negative.
    A regression adds ½e^{−s}·L + ½s, any other task e^{−s}·L + ½s, and a task without a
    label in the batch nothing.

    Example:
    >>> weighting = keras_recs.training.UncertaintyWeights()
    >>> weighting.bind({"click": "binary", "rating": "regression"})
    >>> weighting.weigh(0).numpy().tolist()
    [1.0, 0.5]

    Reference: [Kendall et al., 2018](https://arxiv.org/abs/1705.07115)
    """

    def build(self, input_shape):
        """Creates log σ² of each task."""
        self.log_variances = self.add_weight(
            name="log_variances",
            shape=tuple(input_shape),
            initializer="zeros",
            autocast=False,
        )
        self.built = True

    def weigh(self, step):
        """Float32 `(K,)`: e^{−s}, of regressions half of it."""
        halves = [0.5 if t == "regression" else 1.0 for t in self.tasks.values()]
        scales = ops.convert_to_tensor(halves, "float32")
        return scales * ops.exp(-ops.convert_to_tensor(self.log_variances))

    def penalty(self, is_there):
        """Half the sum of s, of the tasks that have a label."""
        return 0.5 * ops.sum(is_there * ops.convert_to_tensor(self.log_variances))
