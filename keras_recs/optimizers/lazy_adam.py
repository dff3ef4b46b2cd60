"""Adam on the rows of the batch."""

import math

from keras import ops

from keras_recs.optimizers.sparse_optimizer import SparseOptimizer
from keras_recs.register import register


@register
class LazyAdam(SparseOptimizer):
    """Adam whose moments of a row move only when a batch looks the row up.

    Keras's Adam decays the moments of every row and moves every row at every step. Here
    a row that is not looked up rests. The bias correction counts all steps, so that
    with every row in every batch the result is that of `keras.optimizers.Adam`.

    Args:
        learning_rate: float, or a Keras schedule. Defaults to `0.001`.
        beta_1: float. Decay of the first moment. Defaults to `0.9`.
        beta_2: float. Decay of the second moment. Defaults to `0.999`.
        epsilon: float. Outside the square root. Defaults to `1e-7`.
        **kwargs: of `keras.optimizers.Optimizer`.

    Raises:
        ValueError: for an argument out of range, and as `SparseOptimizer`.

    Example:
    >>> keras_recs.optimizers.LazyAdam().beta_2
    0.999

    Reference: [Kingma and Ba, 2015](https://arxiv.org/abs/1412.6980)
    """

    moves_without_gradient = True

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self._check_ranges(beta_1=(0, 1), beta_2=(0, 1), epsilon=(0, math.inf))

    def slots(self, is_table):
        """Two moments."""
        return {"momentum": (0.0, False), "velocity": (0.0, False)}

    def new_values(self, value, gradient, slots, learning_rate):
        """Adam's formula with the bias correction folded into the rate."""
        momentum, velocity = slots
        step = ops.cast(self.iterations + 1, "float32")
        correction = ops.sqrt(1.0 - ops.power(self.beta_2, step)) / (
            1.0 - ops.power(self.beta_1, step)
        )
        momentum = momentum + (gradient - momentum) * (1.0 - self.beta_1)
        velocity = velocity + (ops.square(gradient) - velocity) * (1.0 - self.beta_2)
        moved = learning_rate * correction * momentum
        return value - moved / (ops.sqrt(velocity) + self.epsilon), [momentum, velocity]

    def get_config(self):
        """Constructor arguments."""
        config = {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
        return {**super().get_config(), **config}
