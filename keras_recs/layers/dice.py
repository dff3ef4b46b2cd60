"""The activation of DIN."""

import keras
from keras import ops

from keras_recs.register import register


@register
class Dice(keras.layers.Layer):
    """A PReLU whose bend follows the mean and the variance of each channel.

    In training both are those of the batch, over all axes but the last; at inference
    they are moving averages. The layer calculates in float32 whatever its policy.

    Args:
        momentum: float. Of the moving averages. Defaults to `0.9`.
        epsilon: float. Added to the variance. Defaults to `1e-9`.
        alpha_initializer: Keras initializer of α, one a channel. Defaults to `"zeros"`.

    Call arguments:
        inputs: `(B, …, N)`.
        mask: bool `(B, …)`, true where a position counts in the statistics. Defaults
            to `None`: everywhere.

    Output shape: as the inputs.

    Raises:
        ValueError: for a momentum outside [0, 1), an ε that is not positive, and a
            mask of another shape.

    Example:
    >>> layer = keras_recs.layers.Dice()
    >>> output = layer(np.array([[1.0], [3.0]]), training=True)
    >>> [round(float(x), 3) for x in np.ravel(output)]  # one σ below and above the mean
    [0.269, 2.193]

    Reference: [Zhou et al., 2018](https://arxiv.org/abs/1706.06978):
    f(s) = p·s + (1 − p)·α·s with p = σ((s − E[s]) / √(Var[s] + ε))
    """

    def __init__(self, momentum=0.9, epsilon=1e-9, alpha_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(
                "`momentum` must be at least 0 and less than 1. Received: "
                f"momentum={momentum}"
            )
        if not epsilon > 0:
            raise ValueError(f"`epsilon` must be positive. Received: epsilon={epsilon}")
        self.momentum = momentum
        self.epsilon = epsilon
        self.alpha_initializer = keras.initializers.get(alpha_initializer)
        self.supports_masking = True

    def build(self, input_shape):
        """Creates α and the moving averages."""
        shape = (input_shape[-1],)
        self.alpha = self.add_weight(
            name="alpha",
            shape=shape,
            initializer=self.alpha_initializer,
            autocast=False,
        )
        self.moving_mean = self._moving("moving_mean", shape, "zeros")
        self.moving_variance = self._moving("moving_variance", shape, "ones")
        self.built = True

    def call(self, inputs, training=None, mask=None):
        """Returns p·s + (1 − p)·α·s."""
        s = ops.cast(inputs, "float32")  # (B, …, N)
        if training and self.trainable:
            mean, variance = self._statistics(s, mask)
        else:
            mean = ops.convert_to_tensor(self.moving_mean)
            variance = ops.convert_to_tensor(self.moving_variance)
        p = ops.sigmoid((s - mean) * ops.rsqrt(variance + self.epsilon))
        alpha = ops.convert_to_tensor(self.alpha)
        return ops.cast(s * (p + (1.0 - p) * alpha), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """As the inputs."""
        return tuple(input_shape)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "alpha_initializer": keras.initializers.serialize(self.alpha_initializer),
        }
        return {**super().get_config(), **config}

    def _moving(self, name, shape, initializer):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            trainable=False,
            autocast=False,
            aggregation="mean",
        )

    def _statistics(self, s, mask):
        """Mean and variance of the batch; moves the averages towards them."""
        axes = tuple(range(len(s.shape) - 1))
        there = None
        if mask is not None:
            if len(mask.shape) != len(s.shape) - 1:
                raise ValueError(
                    "The mask of Dice must have the shape of its inputs without the "
                    f"last axis. Received: shape={tuple(mask.shape)} for inputs "
                    f"{tuple(s.shape)}"
                )
            there = ops.expand_dims(ops.cast(mask, "float32"), -1)  # (B, …, 1)
            total = ops.sum(there)
        else:
            total = ops.cast(ops.size(s[..., :1]), "float32")
        count = ops.maximum(total, 1.0)

        def average(x):
            return ops.sum(x if there is None else x * there, axis=axes) / count  # (N,)

        mean = average(s)
        variance = average(ops.square(s - mean))
        # A batch of padding alone says nothing.
        weight = ops.where(total > 0, 1.0 - self.momentum, 0.0)
        for moving, now in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            moving.assign(moving + weight * (ops.stop_gradient(now) - moving))
        return mean, variance
