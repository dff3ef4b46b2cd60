"""Weights under which all tasks train at like rates."""

import math
import numbers

from keras import ops

from keras_recs.register import register
from keras_recs.training.multi_task.task_weighting import TaskWeighting

_LEAST = 1e-3  # of a weight: one of 0 would never come back


@register
class GradNorm(TaskWeighting):
    """Balances the gradients that the tasks bring to the last layer that they share.

    With G_k = ‖∇_W w_k·L_k‖, their mean Ḡ, and the rates
    r_k = (L_k / L_k(0)) / mean_j(L_j / L_j(0)), a step of Adam on
    Σ_k |G_k − Ḡ·r_k^α|, in which Ḡ·r_k^α counts as constant, moves the weights alone;
    then they are scaled to the sum K. L_k(0) is the loss of the first batch that has
    the label; a task without one in a batch keeps its weight. Gradients are those of
    all replicas together.

    Args:
        shared_layer: string. Name of the last layer that all tasks share, whose weights
            are W: `"experts"` of MMoE, `"shared"` of a shared bottom, `"embedding"` of
            ESMM, the last `"extraction_…"` of PLE. Of experts and an MLP it is their
            last matrix and bias. Weights there that are one task's own, as of experts,
            do not count.
        alpha: float. How strongly slow tasks are helped; at 0 all gradients shall be
            alike. Defaults to `1.5`.
        learning_rate: float. Of the weights. Defaults to `0.025`.

    Raises:
        ValueError: for numbers below 0, for a layer that the model does not have, and,
            when it trains, for one whose weights tasks do not share.

    Reference: [Chen et al., 2018](https://arxiv.org/abs/1711.02257)
    """

    reads_gradients = True
    is_adaptive = True

    def __init__(self, shared_layer, alpha=1.5, learning_rate=0.025, **kwargs):
        super().__init__(**kwargs)
        if not _is_number(alpha) or alpha < 0:
            raise ValueError(
                f"`alpha` must be a number of at least 0. Received: alpha={alpha!r}"
            )
        if not _is_number(learning_rate) or learning_rate <= 0:
            raise ValueError(
                "`learning_rate` must be a number above 0. Received: "
                f"learning_rate={learning_rate!r}"
            )
        if not isinstance(shared_layer, str) or not shared_layer:
            raise ValueError(
                "`shared_layer` must be the name of a layer, such as 'experts'. "
                f"Received: shared_layer={shared_layer!r}"
            )
        self.shared_layer = shared_layer
        self.alpha = alpha
        self.learning_rate = learning_rate

    def build(self, input_shape):
        """Creates the weights, the first losses and what Adam keeps."""
        shape = tuple(input_shape)
        self.current = self._state("current", shape, "ones")
        self.first = self._state("first", shape)
        self.momentum = self._state("momentum", shape)
        self.velocity = self._state("velocity", shape)
        self.updates = self._state("updates", ())
        self.built = True

    def weigh(self, step):
        """Float32 `(K,)`."""
        return ops.convert_to_tensor(self.current)

    def update(self, losses, norms):
        """Moves the weights by one step.

        Args:
            losses: float32 `(K,)`, of all replicas.
            norms: float32 `(K,)`: ‖∇_W L_k‖, without the weights.
        """
        w = ops.convert_to_tensor(self.current)
        first = ops.convert_to_tensor(self.first)
        is_new = ops.logical_and(first == 0, ops.isfinite(losses))
        first = ops.where(is_new, losses, first)
        self.first.assign(first)
        there = ops.logical_and(first > 0, losses > 0)
        progress = ops.where(there, losses / ops.where(there, first, 1.0), 1.0)
        shares = ops.cast(there, "float32")
        shares = shares / ops.maximum(ops.sum(shares), 1.0)  # of the means
        mean_progress = ops.sum(shares * progress)
        rates = progress / ops.where(mean_progress > 0, mean_progress, 1.0)
        scaled = w * norms  # G
        target = ops.sum(shares * scaled) * ops.power(rates, self.alpha)
        # Of a batch without its label a task has nothing to say.
        gradient = ops.where(there, ops.sign(scaled - target) * norms, 0.0)
        is_finite = ops.all(ops.isfinite(gradient))
        gradient = ops.where(is_finite, gradient, 0.0)

        count = ops.convert_to_tensor(self.updates) + 1.0
        momentum = 0.9 * self.momentum + 0.1 * gradient
        velocity = 0.999 * self.velocity + 0.001 * ops.square(gradient)
        mean = momentum / (1 - ops.power(0.9, count))
        square = velocity / (1 - ops.power(0.999, count))
        moved = w - self.learning_rate * mean / (ops.sqrt(square) + 1e-8)
        # Those that have no label keep their weight; the others share the rest.
        moved = ops.where(there, ops.maximum(moved, _LEAST), w)
        kept = ops.sum(ops.where(there, 0.0, w))
        total = ops.sum(ops.where(there, moved, 0.0))
        rest = (len(self.tasks) - kept) / ops.where(total > 0, total, 1.0)
        self.updates.assign(count)
        self.momentum.assign(momentum)
        self.velocity.assign(velocity)
        self.current.assign(ops.where(there, moved * rest, w))

    def get_config(self):
        """Constructor arguments."""
        config = {
            "shared_layer": self.shared_layer,
            "alpha": self.alpha,
            "learning_rate": self.learning_rate,
        }
        return {**super().get_config(), **config}


def _is_number(value):
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value)
