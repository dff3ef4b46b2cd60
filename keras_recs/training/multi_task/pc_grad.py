"""Gradients of tasks without what is against another task."""

import random

import keras

from keras_recs.register import register
from keras_recs.training.multi_task.task_weighting import TaskWeighting


@register
class PCGrad(TaskWeighting):
    """Projects conflicting gradients of tasks onto each other's normal plane.

    Where the gradients of two tasks on the weights that they share point against each
    other, each loses the part along the other one, in random order of the others. What
    is left is added up. It is computed on the K × K inner products of the gradients, as
    any such sum is one of the tasks' gradients with K numbers before them; these are
    logged as `<label>_weight`. Weights of one task alone have their own gradient. Each
    replica projects the gradients of its own examples.

    Args:
        seed: int. Of the order. Defaults to `None`: one is drawn, and saved with the
            model.

    Reference: [Yu et al., 2020](https://arxiv.org/abs/2001.06782)
    """

    reads_gradients = True

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, input_shape):
        """Creates the count of steps, by which the order is drawn, and the seed."""
        self.draws = self._state("draws", ())
        drawn = random.randrange(2**24)  # that float32 holds
        self.drawn_seed = self._state(
            "drawn_seed", (), keras.initializers.Constant(drawn)
        )
        self.built = True

    def coefficients(self, products):
        """What stands before each task's gradient in the sum.

        Args:
            products: float32 `(K, K)`, the inner products of the gradients.

        Returns:
            Float32 `(K,)`.
        """
        import tensorflow as tf

        count = len(self.tasks)
        number = tf.cast(tf.convert_to_tensor(self.draws), tf.int32)
        self.draws.assign_add(1.0)
        first = self.seed
        if first is None:
            first = tf.cast(tf.convert_to_tensor(self.drawn_seed), tf.int32)
        total = tf.zeros(count)
        for i in range(count):
            own = tf.one_hot(i, count)
            others = [j for j in range(count) if j != i]
            seed = tf.stack([first, number * count + i])
            # A shuffle that XLA can compile.
            keys = tf.random.stateless_uniform((count - 1,), seed)
            order = tf.gather(tf.constant(others, tf.int32), tf.argsort(keys))
            for place in range(count - 1):
                j = order[place]
                inner = tf.tensordot(own, products[:, j], 1)
                square = tf.maximum(products[j, j], 1e-30)
                against = tf.where(inner < 0, inner / square, 0.0)
                own -= against * tf.one_hot(j, count)
            total += own
        return total

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "seed": self.seed}
