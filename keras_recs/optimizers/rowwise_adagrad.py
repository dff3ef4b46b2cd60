"""Adagrad with one accumulator a row."""

import math

from keras import ops

from keras_recs.optimizers.apply_adagrad import apply_adagrad
from keras_recs.optimizers.sparse_optimizer import SparseOptimizer
from keras_recs.register import register


@register
class RowwiseAdagrad(SparseOptimizer):
    """Adagrad that keeps one number for a row of a table, not one for each weight.

    A table of dimension D costs 1/D more memory to train, and a step touches only the
    rows of the batch. Variables that are not tables are trained by ordinary Adagrad.

    Args:
        learning_rate: float, or a Keras schedule. Defaults to `0.01`.
        initial_accumulator_value: float. Defaults to `0.1`.
        epsilon: float. Inside the square root. Defaults to `1e-7`.
        **kwargs: of `keras.optimizers.Optimizer`.

    Raises:
        ValueError: for an argument out of range, and as `SparseOptimizer`.

    Example:
    >>> layer = keras_recs.layers.FeatureEmbedding(
    ...     [keras_recs.layers.TableConfig("item", 10, 4)], {"item": "item"}
    ... )
    >>> layer.build({"item": (None,)})
    >>> optimizer = keras_recs.optimizers.RowwiseAdagrad()
    >>> optimizer.build(layer.trainable_variables)
    >>> [tuple(slot.shape) for slot in optimizer.variables[2:]]
    [(10,)]

    Reference: [Gupta et al., 2014](https://doi.org/10.1145/2623330.2623612), as used by
    [DLRM](https://arxiv.org/abs/1906.00091): a_r starts at a₀ + ε,
    a_r += mean_d g_rd², w_rd −= η g_rd / √a_r.
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
        """One accumulator, which starts with the ε that belongs to each root."""
        initial = self.initial_accumulator_value + self.epsilon
        return {"accumulator": (initial, is_table)}

    def new_values(self, value, gradient, slots, learning_rate):
        """Adagrad, by row where the accumulator is."""
        (accumulator,) = slots
        square = ops.square(gradient)
        if len(accumulator.shape) < len(gradient.shape):
            accumulator = accumulator + ops.mean(square, axis=-1)  # (n,)
            rate = learning_rate * ops.rsqrt(accumulator)  # (n,)
            return value - ops.expand_dims(rate, -1) * gradient, [accumulator]
        accumulator = accumulator + square
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
