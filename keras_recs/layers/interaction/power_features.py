"""Powers of numbers beside the numbers."""

import keras
from keras import ops

from keras_recs.register import register


@register
class PowerFeatures(keras.layers.Layer):
    """Numbers x with x² and √x, which an MLP would have to learn.

    Meant for numbers in 0 … 1, as `NumericFeature(transform="quantile")` makes them. A
    negative number has the root −√|x|, so that standardized numbers can be given too.

    Input shape: `(B, N)`.
    Output shape: `(B, 3·N)`: all x, then all x², then all roots.

    Example:
    >>> keras_recs.layers.PowerFeatures()(np.array([[0.25, -4.0]])).numpy().tolist()
    [[0.25, -4.0, 0.0625, 16.0, 0.5, -2.0]]

    Reference: [Covington et al., 2016](https://doi.org/10.1145/2959100.2959190),
    section 4.1, which takes the powers of numbers in 0 … 1 alone.
    """

    def call(self, inputs):
        """Returns the numbers and their powers."""
        # √ has no finite gradient at 0; there it is √1, times the sign 0.
        shifted = ops.abs(inputs) + ops.cast(ops.equal(inputs, 0), inputs.dtype)
        roots = ops.sign(inputs) * ops.sqrt(shifted)
        return ops.concatenate([inputs, ops.square(inputs), roots], axis=-1)  # (B, 3N)

    def compute_output_shape(self, input_shape):
        """`(B, 3·N)`."""
        return (*input_shape[:-1], 3 * input_shape[-1])
