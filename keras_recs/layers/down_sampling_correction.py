"""From the rate among the examples that were kept to the true one."""

import keras

from keras_recs.register import register


@register
class DownSamplingCorrection(keras.layers.Layer):
    """q = p / (p + (1 − p)/w): the logit plus log w.

    p is the probability of a model whose training left out negative examples and kept
    a share w of them; q is the probability among all. The layer works in float32 and
    is as exact near 0 as p is.

    Args:
        rate: float above 0, at most 1. The share w.

    Input shape: any, of probabilities.
    Output shape: the same, float32.

    Raises:
        ValueError: for a rate out of range.

    Example:
    >>> layer = keras_recs.layers.DownSamplingCorrection(0.1)
    >>> float(layer(np.array([[0.5]]))[0, 0])  # 1 click to 1 kept, so to 10 others
    0.09090909361839294

    Reference: [He et al., 2014](https://doi.org/10.1145/2648584.2648589), section 6.3
    """

    def __init__(self, rate, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.rate = rate
        if not 0 < rate <= 1:
            raise ValueError(
                f"`rate` must be above 0 and at most 1. Received: rate={rate!r}"
            )

    def build(self, input_shape):
        """There are no weights."""
        self.built = True

    def call(self, inputs):
        """Returns the corrected probabilities."""
        positive = self.rate * inputs
        return positive / (positive + (1.0 - inputs))

    def compute_output_shape(self, input_shape):
        """That of the input."""
        return input_shape

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "rate": self.rate}
