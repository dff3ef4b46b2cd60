"""A cross layer of DCN-V2."""

import keras

from keras_recs.register import register


@register
class CrossLayer(keras.layers.Layer):
    """Multiplies the features with a linear map of the layer below.

    l cross layers on top of each other give all products of up to l + 1 features.

    Args:
        projection_dim: int. Rank of the matrix W = U·Vᵀ; U and V take 2·N·rank
            weights where W takes N². Defaults to `None`: a full matrix.
        kernel_initializer: Keras initializer of the matrices. Defaults to
            `"glorot_uniform"`.
        kernel_regularizer: Keras regularizer of the matrices. Defaults to `None`.

    Call arguments:
        inputs: pair of the features x₀ and the output x of the layer below (for the
            first layer x₀ again), both `(B, N)`.

    Output shape: `(B, N)`.

    Raises:
        ValueError: for inputs that are not a pair of one shape, and for a rank that is
            not a positive integer.

    Example:
    >>> x = np.ones((2, 6))
    >>> tuple(keras_recs.layers.CrossLayer(projection_dim=2)([x, x]).shape)
    (2, 6)

    Reference: [Wang et al., 2021](https://arxiv.org/abs/2008.13535):
    x_{l+1} = x₀ ⊙ (W x_l + b) + x_l
    """

    def __init__(
        self,
        projection_dim=None,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if projection_dim is not None and (
            not isinstance(projection_dim, int) or projection_dim < 1
        ):
            raise ValueError(
                "`projection_dim` must be a positive integer, or None for a full "
                f"matrix. Received: projection_dim={projection_dim!r}"
            )
        self.projection_dim = projection_dim
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        """Creates the matrices and the bias."""
        features = _checked_width(input_shape)
        self.down = None
        width = features
        if self.projection_dim is not None:
            self.down = self._dense("down", self.projection_dim, use_bias=False)
            self.down.build((None, features))
            width = self.projection_dim
        self.dense = self._dense("dense", features)
        self.dense.build((None, width))
        self.built = True

    def call(self, inputs):
        """Returns x₀ ⊙ (W x + b) + x."""
        x0, x = inputs
        below = x if self.down is None else self.down(x)  # (B, rank)
        return x0 * self.dense(below) + x  # (B, N)

    def compute_output_shape(self, input_shape):
        """As each input."""
        return tuple(input_shape[1])

    def get_config(self):
        """Constructor arguments."""
        config = {
            "projection_dim": self.projection_dim,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
        return {**super().get_config(), **config}

    def _dense(self, name, units, use_bias=True):
        initializer = self.kernel_initializer
        return keras.layers.Dense(
            units,
            use_bias=use_bias,
            # One object would draw the same numbers for both matrices.
            kernel_initializer=type(initializer).from_config(initializer.get_config()),
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name=name,
        )


def _checked_width(input_shape):
    shapes = [tuple(shape) for shape in input_shape if isinstance(shape, (tuple, list))]
    pair = len(shapes) == 2 and len(input_shape) == 2
    if not pair or shapes[0] != shapes[1] or shapes[0][-1] is None:
        raise ValueError(
            "The inputs of CrossLayer must be the pair [x0, x] of one shape (batch, "
            f"features). Received: shape={input_shape}"
        )
    return shapes[0][-1]
