"""What weighs the tasks of a model."""

import keras
from keras import ops


class TaskWeighting(keras.layers.Layer):
    """Weighs the losses of tasks; the subclasses say how.

    It is part of a `MultiTaskModel`, whose variables and configuration hold it.

    Attributes:
        tasks: dict of label to its task, once bound.
        reads_gradients: bool. Whether it needs the gradients of each task.
        is_adaptive: bool. Whether steps change variables of its own, which parameter
            servers could not keep in order.
    """

    tasks = None
    reads_gradients = False
    is_adaptive = False

    def bind(self, tasks):
        """Says which tasks there are, and creates the variables.

        Args:
            tasks: dict of label name to its task.

        Raises:
            ValueError: for a second model: what one learns would be the other's.
        """
        if self.tasks is not None:
            raise ValueError(
                f"{type(self).__name__} weighs the tasks of another model already: "
                f"make a new one. Received: labels {list(tasks)}, before "
                f"{list(self.tasks)}"
            )
        self.tasks = dict(tasks)
        if not self.built:
            self.build((len(self.tasks),))

    def weigh(self, step):
        """Float32 `(K,)` for the losses in the order of the tasks.

        Args:
            step: number of steps trained so far.
        """
        return ops.ones((len(self.tasks),), "float32")

    def penalty(self, is_there):
        """What is added to the weighted sum.

        Args:
            is_there: float32 `(K,)`: 0 for a task without a label in the batch, else 1.
        """
        return 0.0

    def observe(self, losses):
        """Sees the losses `(K,)` of a training step, those of one replica."""

    def end_epoch(self):
        """Called after each epoch."""

    def _state(self, name, shape, initializer="zeros"):
        """A variable that no optimizer trains, one for all replicas."""
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            trainable=False,
            autocast=False,
            aggregation="mean",
        )
