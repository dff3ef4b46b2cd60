"""Adagrad on the rows of the batch."""

import math

from keras import ops

from keras_recs.optimizers.apply_adagrad import apply_adagrad
from keras_recs.optimizers.sparse_optimizer import SparseOptimizer
from keras_recs.register import register


@register
class SparseAdagrad(SparseOptimizer):
    """Keras's Adagrad, but a step touches only the rows of the batch.

    Where no id repeats in a batch the result is that of `keras.optimizers.Adagrad`.
    Where one does, its gradients are summed before they are squared; Keras squares
    each.

    Args:
        learning_rate: float, or a Keras schedule. Defaults to `0.01`.
        initial_accumulator_value: float. Defaults to `0.1`.
        epsilon: float. Inside the square root. Defaults to `1e-7`.
        **kwargs: of `keras.optimizers.Optimizer`.

    Raises:
        ValueError: for an argument out of range, and as `SparseOptimizer`.

    Example:
    >>> keras_recs.optimizers.SparseAdagrad(0.05).initial_accumulator_value
    0.1

    Reference: [Duchi et al., 2011](https://jmlr.org/papers/v12/duchi11a.html)
    """

    def __init__(
        self,
        learning_rate=0.01,
        initial_accumulator_value=0.1,
        epsilon=1e-7,
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon
        # A row that starts at 0 would divide by 0 without ε.
        self._check_ranges(
            initial_accumulator_value=(0, math.inf), epsilon=(1e-30, math.inf)
        )

    def slots(self, is_table):
        """One accumulator a weight, which starts with the ε of each root."""
        return {"accumulator": (self.initial_accumulator_value + self.epsilon, False)}

    def new_values(self, value, gradient, slots, learning_rate):
        """a += g², w −= η g / √a."""
        accumulator = slots[0] + ops.square(gradient)
        step = learning_rate * gradient * ops.rsqrt(accumulator)
        return value - step, [accumulator]

    def update_at_once(self, gradient, variable, slots, learning_rate):
        """One operation for a variable that is no table."""
        apply_adagrad(variable, slots[0], gradient, learning_rate)
        return True

    def get_config(self):
        """Constructor arguments."""
        config = {
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
        return {**super().get_config(), **config}
