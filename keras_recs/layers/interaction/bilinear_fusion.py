"""The fusion of FinalMLP's streams."""

import keras
from keras import ops

from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.register import register


@register
class BilinearFusion(keras.layers.Layer):
    """Linear terms of two vectors and the products of their numbers, to logits.

    Both vectors are cut into heads, and only the products within a head count, which
    takes `num_heads` times fewer weights.

    Args:
        units: int. Logits, one a label. Defaults to `1`.
        num_heads: int. It divides both widths. Defaults to `1`.
        kernel_initializer: Keras initializer. Defaults to `"glorot_uniform"`.
        kernel_regularizer: Keras regularizer of all matrices. Defaults to `None`.

    Call arguments:
        inputs: pair of the vectors `(B, H1)` and `(B, H2)`.

    Output shape: `(B, units)`.

    Raises:
        ValueError: for sizes that are not positive integers, inputs that are not a
            pair, and widths that `num_heads` does not divide.

    Example:
    >>> fusion = keras_recs.layers.BilinearFusion(num_heads=2)
    >>> tuple(fusion([np.ones((3, 6)), np.ones((3, 4))]).shape)
    (3, 1)

    Reference: [Mao et al., 2023](https://arxiv.org/abs/2304.00902):
    b + w₁·o₁ + w₂·o₂ + Σ_h o₁ₕᵀ W_h o₂ₕ
    """

    def __init__(
        self,
        units=1,
        num_heads=1,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (("units", units), ("num_heads", num_heads)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{name}` must be a positive integer. Received: {name}={value!r}"
                )
        self.units = units
        self.num_heads = num_heads
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        """Creates the matrices and the bias."""
        if len(input_shape) != 2 or any(
            not isinstance(shape, (tuple, list)) or len(shape) != 2
            for shape in input_shape
        ):
            raise ValueError(
                "The inputs of BilinearFusion must be a pair of shapes (batch, "
                f"features). Received: shape={input_shape}"
            )
        first, second = (shape[-1] for shape in input_shape)
        if first % self.num_heads or second % self.num_heads:
            raise ValueError(
                "`num_heads` must divide the widths of both inputs. Received: "
                f"num_heads={self.num_heads}, widths={first} and {second}"
            )
        heads, units = self.num_heads, self.units
        self.first_kernel = self._kernel(0, "first_kernel", (first, units))
        self.second_kernel = self._kernel(1, "second_kernel", (second, units))
        # One row a product: all of them add up to a logit, as the initializer sees it.
        shape = (first * second // heads, units)
        self.products = self._kernel(2, "products", shape)
        self.bias = self.add_weight(name="bias", shape=(units,), initializer="zeros")
        self.built = True

    def call(self, inputs):
        """Returns the logits."""
        first, second = inputs
        heads, units = self.num_heads, self.units
        width, other = first.shape[-1] // heads, second.shape[-1] // heads
        x = ops.reshape(first, (-1, heads, width))  # (B, A, H1/A)
        y = ops.reshape(second, (-1, heads, other))  # (B, A, H2/A)
        kernel = ops.reshape(self.products, (heads, width, other * units))
        x = ops.einsum("bai,aij->baj", x, kernel)  # (B, A, H2/A·K)
        x = ops.reshape(x, (-1, heads, other, units))  # (B, A, H2/A, K)
        pairs = ops.einsum("bajk,baj->bk", x, y)  # (B, K)
        linear = ops.matmul(first, self.first_kernel)  # (B, K)
        linear = linear + ops.matmul(second, self.second_kernel)
        return pairs + linear + self.bias

    def compute_output_shape(self, input_shape):
        """`(B, units)`."""
        return (input_shape[0][0], self.units)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "units": self.units,
            "num_heads": self.num_heads,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
        return {**super().get_config(), **config}

    def _kernel(self, number, name, shape):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=renewed_initializer(self.kernel_initializer, number),
            regularizer=self.kernel_regularizer,
        )
