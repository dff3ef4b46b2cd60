"""Follow-the-regularized-leader on the rows of the batch."""

import math

from keras import ops

from keras_recs.optimizers.sparse_optimizer import SparseOptimizer
from keras_recs.register import register


@register
class SparseFTRL(SparseOptimizer):
    """FTRL-Proximal with L1, for the wide part: most weights stay exactly zero.

    With every row in every batch the result is that of `keras.optimizers.Ftrl` with
    `learning_rate_power=-0.5`. A row that no batch looked up keeps its initial value.

    Args:
        learning_rate: float, or a Keras schedule. Defaults to `0.05`.
        initial_accumulator_value: float. Defaults to `0.1`.
        l1: float. Weights whose evidence stays below it are zero. Defaults to `0.0`.
        l2: float. Defaults to `0.0`.
        beta: float. Defaults to `0.0`.
        **kwargs: of `keras.optimizers.Optimizer`.

    Raises:
        ValueError: for a negative strength, and as `SparseOptimizer`.

    Example:
    >>> keras_recs.optimizers.SparseFTRL(l1=0.001).l1
    0.001

    Reference: [McMahan et al., 2013](https://doi.org/10.1145/2487575.2488200),
    algorithm 1: w = 0 where |z| ≤ λ₁, else
    (sgn(z)λ₁ − z) / ((β + √n)/η + 2λ₂).
    """

    moves_without_gradient = True

    def __init__(
        self,
        learning_rate=0.05,
        initial_accumulator_value=0.1,
        l1=0.0,
        l2=0.0,
        beta=0.0,
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.l1 = l1
        self.l2 = l2
        self.beta = beta
        names = ("initial_accumulator_value", "l1", "l2", "beta")
        self._check_ranges(**dict.fromkeys(names, (0, math.inf)))

    def slots(self, is_table):
        """The sum of squares n and the linear term z."""
        return {
            "accumulator": (self.initial_accumulator_value, False),
            "linear": (0.0, False),
        }

    def new_values(self, value, gradient, slots, learning_rate):
        """z += g − (√n' − √n)/η · w, then the closed form."""
        accumulator, linear = slots
        # The formula divides by η; a schedule that ends at 0 must stop, not make NaN.
        moves = learning_rate > 0
        rate = ops.where(moves, learning_rate, 1.0)
        after = accumulator + ops.square(gradient)
        root, root_after = ops.sqrt(accumulator), ops.sqrt(after)
        new_linear = linear + gradient - (root_after - root) / rate * value
        # 0 where nothing was ever seen and nothing regularizes: so is the numerator.
        quadratic = (self.beta + root_after) / rate + 2.0 * self.l2
        quadratic = ops.where(quadratic > 0, quadratic, 1.0)
        shrunk = ops.clip(new_linear, -self.l1, self.l1) - new_linear
        return ops.where(moves, shrunk / quadratic, value), [
            ops.where(moves, after, accumulator),
            ops.where(moves, new_linear, linear),
        ]

    def get_config(self):
        """Constructor arguments."""
        config = {
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1": self.l1,
            "l2": self.l2,
            "beta": self.beta,
        }
        return {**super().get_config(), **config}
