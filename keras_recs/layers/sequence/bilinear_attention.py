"""Attention by a bilinear form."""

import keras
from keras import ops

from keras_recs.layers.sequence.masked_softmax import masked_softmax
from keras_recs.register import register


@register
class BilinearAttention(keras.layers.Layer):
    """Weighs the states of a history by how well a learned matrix fits them to a query.

    Args:
        kernel_initializer: Keras initializer of W. Defaults to `"glorot_uniform"`.

    Call arguments:
        inputs: list of the query `(B, Q)`, the states `(B, T, H)` and a bool mask
            `(B, T)`, true where a state is there. Without a mask all are.

    Output shape: float32 `(B, T)`: sums to 1 over what is there, exactly 0 elsewhere; a
        history of padding alone gives zeros.

    Raises:
        ValueError: for inputs of other shapes.

    Example:
    >>> inputs = [np.ones((2, 4)), np.ones((2, 5, 3))]
    >>> weights = keras_recs.layers.BilinearAttention()(inputs)
    >>> [round(float(weight), 3) for weight in weights[0]]
    [0.2, 0.2, 0.2, 0.2, 0.2]

    Reference: [Zhou et al., 2019](https://arxiv.org/abs/1809.03672):
    a_t = exp(h_t W e) / Σ_j exp(h_j W e)
    """

    def __init__(self, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Creates W."""
        shapes = [tuple(s) for s in input_shape if isinstance(s, (tuple, list))]
        ranks = [len(shape) for shape in shapes]
        is_known = ranks in ([2, 3], [2, 3, 2]) and len(shapes) == len(input_shape)
        if not is_known or None in (shapes[0][-1], shapes[1][-1]):
            raise ValueError(
                "The inputs of BilinearAttention must be [query (batch, size), states "
                "(batch, time, dim), mask (batch, time)]; the mask may be left out. "
                f"Received: shape={input_shape}"
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(shapes[1][-1], shapes[0][-1]),
            initializer=self.kernel_initializer,
        )
        self.built = True

    def call(self, inputs):
        """Returns the weights."""
        query, states = inputs[0], inputs[1]
        wanted = ops.matmul(query, ops.transpose(self.kernel))  # (B, H)
        scores = ops.matmul(states, ops.expand_dims(wanted, -1))  # (B, T, 1)
        scores = ops.squeeze(scores, axis=-1)  # (B, T)
        if len(inputs) == 3:
            mask = ops.cast(inputs[2], "bool")
        else:
            mask = ops.ones_like(scores, dtype="bool")
        return masked_softmax(scores, mask)

    def compute_output_spec(self, inputs):
        """Float32 `(B, T)`."""
        return keras.KerasTensor(inputs[1].shape[:2], "float32")

    def get_config(self):
        """Constructor arguments."""
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), "kernel_initializer": initializer}
